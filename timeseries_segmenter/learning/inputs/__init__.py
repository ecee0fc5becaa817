"""What models see of a series: standardised samples, statistics around each timestep, windows."""
