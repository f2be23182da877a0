//! What a written byte buys of a debt.

/// Bounds of a debt, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Account {
    /// Up to here writers pay nothing.
    pub low: u64,
    /// From here on a write pays at least what it adds, so that the debt does not grow; above `low`.
    pub high: u64,
}

impl Account {
    /// An account with these bounds; `high` is raised above `low` if need be.
    pub fn new(low: u64, high: u64) -> Self {
        Self { low, high: high.max(low.saturating_add(1)) }
    }

    /// Bytes of work that a write buys while `owed` are owed and each written byte adds `price`: nothing up to `low`, from there in
    /// proportion, all that it adds at `high`, and beyond more, up to twice as much. Rounded up, so that small writes pay too.
    pub fn due(&self, owed: u64, price: u64, written: u64) -> u64 {
        let span = u128::from(self.high - self.low);
        let above = u128::from(owed.saturating_sub(self.low)).min(2 * span);
        let added = u128::from(price) * u128::from(written);
        let due = added.saturating_mul(above).div_ceil(span);
        u64::try_from(due).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_rises_with_the_debt() {
        let account = Account::new(100, 200);
        assert_eq!(account.due(100, 5, 10), 0);
        assert_eq!(account.due(101, 5, 10), 1);
        assert_eq!(account.due(150, 5, 10), 25);
        assert_eq!(account.due(200, 5, 10), 50);
        assert_eq!(account.due(300, 5, 10), 100);
        assert_eq!(account.due(u64::MAX, 5, 10), 100);
        assert_eq!(account.due(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(Account::new(7, 7).due(8, 1, 3), 3);
    }
}
