# The stand-in itself lies on the host: this package only leads there.
mkdir -p "$out/bin"
ln -s /usr/local/libexec/lab/nixos-rebuild "$out/bin/nixos-rebuild"
