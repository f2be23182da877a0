//! The memory budget (R1): one bound, named accounts.

use crate::rank;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_sync::{Arc, Mutex};
use aether_types::{Error, ErrorKind, Result};

/// One bound on memory, shared by all parts of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    accounts: Mutex<Vec<Arc<AccountInner>>>,
}

#[derive(Debug)]
struct AccountInner {
    name: &'static str,
    used_bytes: AtomicU64,
}

/// A named share of a [`Budget`]: who uses what. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Account {
    budget: Budget,
    inner: Arc<AccountInner>,
}

impl Budget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Self {
        let accounts = Mutex::new(rank::BUDGET, Vec::new());
        Self(Arc::new(Inner { limit_bytes, used_bytes: AtomicU64::new(0), accounts }))
    }

    /// No bound; memory is still counted.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// The account called `name`; the same one for the same name.
    pub fn account(&self, name: &'static str) -> Account {
        let mut accounts = self.0.accounts.lock();
        let known = accounts.iter().find(|account| account.name == name).cloned();
        let inner = known.unwrap_or_else(|| {
            let fresh = Arc::new(AccountInner { name, used_bytes: AtomicU64::new(0) });
            accounts.push(fresh.clone());
            fresh
        });
        Account { budget: self.clone(), inner }
    }

    /// Bytes that may be used at the most.
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes
    }

    /// Bytes in use by all accounts.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Relaxed)
    }

    /// Bytes that are still to be had.
    pub fn left_bytes(&self) -> u64 {
        self.limit_bytes().saturating_sub(self.used_bytes())
    }

    /// Who uses how many bytes.
    pub fn usage(&self) -> Vec<(&'static str, u64)> {
        let accounts = self.0.accounts.lock();
        accounts.iter().map(|account| (account.name, account.used_bytes.load(Relaxed))).collect()
    }
}

impl Account {
    /// Takes `bytes`.
    ///
    /// # Errors
    /// `OverLimit` if the budget would be exceeded; then nothing is taken.
    pub fn charge(&self, bytes: u64) -> Result<()> {
        let budget = &self.budget.0;
        let before = budget.used_bytes.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > budget.limit_bytes {
            budget.used_bytes.fetch_sub(bytes, Relaxed);
            return Err(Error::new(
                ErrorKind::OverLimit,
                format!(
                    "{} needs {bytes} bytes, {before} of the memory budget of {} are in use",
                    self.inner.name, budget.limit_bytes
                ),
            ));
        }
        self.inner.used_bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }

    /// Gives `bytes` back.
    pub fn release(&self, bytes: u64) {
        self.inner.used_bytes.fetch_sub(bytes, Relaxed);
        self.budget.0.used_bytes.fetch_sub(bytes, Relaxed);
    }

    /// Takes `bytes` also beyond the budget: for what is small, bounded, and in use already.
    pub fn count(&self, bytes: u64) {
        self.budget.0.used_bytes.fetch_add(bytes, Relaxed);
        self.inner.used_bytes.fetch_add(bytes, Relaxed);
    }

    /// Bytes in use by this account.
    pub fn used_bytes(&self) -> u64 {
        self.inner.used_bytes.load(Relaxed)
    }
}

/// What one owner has taken from an [`Account`]; given back when dropped.
#[derive(Debug)]
pub struct Charge {
    account: Account,
    bytes: AtomicU64,
}

impl Charge {
    /// Takes `bytes`.
    ///
    /// # Errors
    /// As [`Account::charge`].
    pub fn new(account: Account, bytes: u64) -> Result<Self> {
        account.charge(bytes)?;
        Ok(Self { account, bytes: AtomicU64::new(bytes) })
    }

    /// Takes `bytes` also beyond the budget, see [`Account::count`].
    pub fn counted(account: Account, bytes: u64) -> Self {
        account.count(bytes);
        Self { account, bytes: AtomicU64::new(bytes) }
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// As [`Account::charge`].
    pub fn grow(&self, bytes: u64) -> Result<()> {
        self.account.charge(bytes)?;
        self.bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }

    /// Gives `bytes` back.
    pub fn shrink(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Relaxed);
        self.account.release(bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.release(self.bytes.load(Relaxed));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_over_accounts() {
        let budget = Budget::new(100);
        let (frames, log) = (budget.account("frames"), budget.account("log"));
        frames.charge(70).unwrap();
        assert_eq!(log.charge(31).unwrap_err().kind(), ErrorKind::OverLimit);
        log.charge(30).unwrap();
        frames.release(70);
        assert_eq!(budget.used_bytes(), 30);
        assert_eq!(budget.usage(), [("frames", 0), ("log", 30)]);
    }

    #[test]
    fn a_charge_is_given_back_with_its_owner() {
        let budget = Budget::new(100);
        let charge = Charge::new(budget.account("log"), 60).unwrap();
        assert!(charge.grow(41).unwrap_err().to_string().contains("log needs 41 bytes"));
        charge.grow(40).unwrap();
        assert!(Charge::new(budget.account("frames"), 1).is_err());
        drop(Charge::counted(budget.account("rings"), 5));
        charge.shrink(30);
        assert_eq!((budget.used_bytes(), budget.left_bytes()), (70, 30));
        drop(charge);
        assert_eq!(budget.used_bytes(), 0);
    }
}
