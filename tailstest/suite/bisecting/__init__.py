"""Which of several images brought a failure."""
