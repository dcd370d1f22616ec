"""The pages for people who sign in: HTML without scripts, in Russian and English."""
