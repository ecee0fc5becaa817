"""MODEL_DIR: files that are whole, models and their versions. All that a backup has to hold."""
