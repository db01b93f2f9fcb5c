"""The whole system on one machine, and the story that shows it: real processes, real protocols."""
