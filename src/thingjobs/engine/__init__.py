"""What happens by itself: ticks, sweeps, and the winding of a manual clock."""
