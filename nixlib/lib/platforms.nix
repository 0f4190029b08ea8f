/** Systems by kind, for `meta.platforms`. */
rec {
  linux = [ "x86_64-linux" "aarch64-linux" "riscv64-linux" "i686-linux" "armv7l-linux" ];
  darwin = [ "x86_64-darwin" "aarch64-darwin" ];
  unix = linux ++ darwin;
  all = unix;
  none = [ ];
  x86_64 = [ "x86_64-linux" "x86_64-darwin" ];
  aarch64 = [ "aarch64-linux" "aarch64-darwin" ];
}
