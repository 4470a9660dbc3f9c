# Settings of your own go here; those of every session are in /etc/bash.bashrc.
