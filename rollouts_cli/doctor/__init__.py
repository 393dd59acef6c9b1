"""``rollouts doctor``: what a project lacks, asked of Google's own services."""
