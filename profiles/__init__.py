"""What is known of GPUs, models, prices and measured step times: cards with their sources."""
