"""What every generated Google client of ours needs: lean imports, time limits, errors in our words, plain values."""
