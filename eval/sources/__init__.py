"""Where pictures and frames come from: data sets, video files, guarded decoding."""
