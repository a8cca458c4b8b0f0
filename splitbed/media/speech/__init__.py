"""Speech that is made: commands of a closed vocabulary, spoken by synthesisers, in noisy rooms."""
