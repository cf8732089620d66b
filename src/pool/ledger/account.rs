//! One miner's account with one chain, and the sums over all of them.

/// What one miner has with one chain. Amounts in base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Owed by every block that counts, less settled payments; negative when a late block paid too much.
    pub balance: i64,
    /// Of it what blocks that can't be orphaned any more brought, less settled payments.
    pub matured: i64,
    /// In payments that are signed and not settled: still owed, and not to be paid again.
    pub reserved: u64,
    /// Received by coinbases of blocks that count and by settled payments.
    pub paid: u64,
    /// The work in the window that blocks brought it something for, summed over them, in difficulty units.
    pub earned_work: u128,
    /// Of it what can't be taken back any more.
    paid_for_good: u64,
}

impl Account {
    /// What the next block may pay of earlier debts (bᵢ of the payout rule).
    pub fn available(&self) -> i64 {
        self.balance.saturating_sub_unsigned(self.reserved)
    }

    /// The account as it is without open blocks and payments.
    pub(super) fn settled(&self) -> Account {
        Account { balance: self.matured, paid: self.paid_for_good, reserved: 0, ..*self }
    }

    /// Adds what a block brings, or takes it off again.
    pub(super) fn count(&mut self, entitled: u64, paid: u64, add: bool) {
        // Both are at most a coinbase's value, far below 2^63 for every coin.
        let owed = entitled as i64 - paid as i64;
        if add {
            self.balance += owed;
            self.paid += paid;
        } else {
            self.balance -= owed;
            self.paid -= paid;
        }
    }

    /// What a block brought can't be taken off any more.
    pub(super) fn mature(&mut self, entitled: u64, paid: u64) {
        self.matured += entitled as i64 - paid as i64;
        self.paid_for_good += paid;
    }

    /// A payment arrived for good.
    pub(super) fn settle_payment(&mut self, amount: u64, received: u64) {
        self.reserved -= amount;
        self.balance -= amount as i64;
        self.matured -= amount as i64;
        self.paid += received;
        self.paid_for_good += received;
    }
}

/// The terms of the law, in base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Coinbase values of the blocks that count.
    pub value: u128,
    /// Received by miners.
    pub paid: u128,
    /// Owed to miners; debts of miners count negative.
    pub owed: i128,
    /// Fees and remainders of the blocks that count.
    pub fees: u128,
    /// The network's fees that receivers of payments bore.
    pub payment_fees: u128,
}

impl Totals {
    /// Whether the law holds.
    pub fn is_balanced(&self) -> bool {
        let parts = [self.paid, self.fees, self.payment_fees].into_iter().try_fold(0u128, u128::checked_add);
        parts.and_then(|parts| parts.checked_add_signed(self.owed)) == Some(self.value)
    }

    pub(super) fn count_block(&mut self, value: u64, fees: u64, add: bool) {
        if add {
            self.value += u128::from(value);
            self.fees += u128::from(fees);
        } else {
            self.value -= u128::from(value);
            self.fees -= u128::from(fees);
        }
    }

    pub(super) fn count_share(&mut self, entitled: u64, paid: u64, add: bool) {
        let owed = i128::from(entitled) - i128::from(paid);
        if add {
            self.owed += owed;
            self.paid += u128::from(paid);
        } else {
            self.owed -= owed;
            self.paid -= u128::from(paid);
        }
    }

    pub(super) fn settle_payment(&mut self, amount: u64, received: u64) {
        self.owed -= i128::from(amount);
        self.paid += u128::from(received);
        self.payment_fees += u128::from(amount - received);
    }
}
