# Interactive shells, login or not.
[ -n "$PS1" ] || return

. /etc/profile.d/capsem.sh

# The prompt tells that this is inside of a capsem VM, in colour where the terminal has it.
case "$TERM" in
dumb | "") PS1='[capsem] \w\$ ' ;;
*) PS1='\[\e[1;36m\][capsem]\[\e[0m\] \[\e[1m\]\w\[\e[0m\]\$ ' ;;
esac

shopt -s checkwinsize histappend
HISTCONTROL=ignoreboth
HISTSIZE=10000
HISTFILESIZE=20000

alias ls='ls --color=auto'
alias ll='ls -l'
alias la='ls -lA'
alias grep='grep --color=auto'

if ! shopt -oq posix && [ -r /usr/share/bash-completion/bash_completion ]; then
  . /usr/share/bash-completion/bash_completion
fi
