//! The command `aether`: see [`aether_cli`].
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    aether_cli::main()
}
