//! The aether command.
fn main() {}
