"""Path computation element: route, frequency slot, mode and IT end point in one answer."""
