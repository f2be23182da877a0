//! `cargo xtask`: see [`xtask`].
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    xtask::run()
}
