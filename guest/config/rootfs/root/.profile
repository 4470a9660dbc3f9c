# Login shells read this and not ~/.bashrc.
if [ -n "$BASH" ] && [ -r ~/.bashrc ]; then
  . ~/.bashrc
fi
