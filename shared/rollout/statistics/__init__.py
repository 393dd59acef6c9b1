"""Evidence that may be looked at after every tick: e-processes for harm and for no harm, with the standard library alone.

An e-process is a running number whose expected value never exceeds one while a null hypothesis holds, at whatever moment one looks
(Ramdas, Grünwald, Vovk, Shafer 2023, arXiv 2210.01948). By Ville's inequality it ever reaches 1/alpha with probability at most alpha:
a rollout may be judged each minute for days, and the bound on a false decision stays what it was.

hypergeometric  the noncentral hypergeometric distribution: its sum, mean and variance
tables          candidate beside stable, one 2x2 table per tick: harm and no harm by the odds ratio
binomial        one arm beside a limit: service levels, floors, the split itself
means           candidate beside stable by a mean
process         the e-process that all of them feed
dispersion      betting less where one arm is noisier than chance allows
latency         histograms as tables at fixed edges
combine         several metrics, one decision
arms            the best of several arms
interval        the odds ratio as an interval, for display
plan            what can be found, and how long it takes

Order matters to some of it and repetition to all of it: a tick is counted once, in its time, which is its caller's business
(``shared.rollout.evidence`` drops minutes that were counted). A counter that ran backwards drops its tick for both arms.
"""
