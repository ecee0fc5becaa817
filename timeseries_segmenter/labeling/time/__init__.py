"""The time of a series: formats, what they print, and where a region's ends lie."""
