//! Bugs that a run is told to have, so that it can be shown that they are noticed.

#[cfg(aether_mutants)]
static PLANTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// True in a run that was told to have the bug `name`. A constant in builds without `--cfg aether_mutants`.
#[cfg(aether_mutants)]
pub fn planted(name: &str) -> bool {
    PLANTED.get().is_some_and(|planted| planted == name)
}

/// True in a run that was told to have the bug `name`. A constant in builds without `--cfg aether_mutants`.
#[cfg(not(aether_mutants))]
#[inline(always)]
pub const fn planted(_: &str) -> bool {
    false
}

/// Makes this run have the bug `name` from now on; false if this build has no bugs, or the run has one already.
pub fn plant(name: &str) -> bool {
    #[cfg(aether_mutants)]
    {
        PLANTED.set(name.to_string()).is_ok()
    }
    #[cfg(not(aether_mutants))]
    {
        let _ = name;
        false
    }
}

#[cfg(all(test, not(aether_mutants)))]
mod tests {
    #[test]
    fn an_ordinary_build_has_no_bugs_to_plant() {
        assert!(!super::plant("any") && !super::planted("any"));
    }
}
