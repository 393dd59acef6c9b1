"""How well rollouts are decided: the engine beside what other systems do, in seeded worlds.

``python -m bench.decisions`` writes docs/decisions.md and docs/decisions.svg.

worlds       what stable and candidate serve, minute by minute
judges       the competitors, each as its source code defines it, and the engine
detection    false rollbacks (T1) and how soon a degradation is found (T2)
controller   whole rollouts over two stages, three metrics (T6)
report       the tables
picture      the drawing
"""
