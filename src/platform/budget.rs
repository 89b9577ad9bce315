//! How much a credential and a workspace may have done: budgets that fill up again by the second.
//!
//! An operation is charged what it may cost at most before it runs, and gets back what it did not cost. With Redis the
//! nodes share the budgets, by one script that looks and takes at once; where Redis does not answer, and without it, each
//! node counts for itself: never is nothing counted.

use std::sync::{Arc, Mutex, PoisonError};

use entity::Micros;
use quick_cache::sync::Cache;

use crate::infra::bus::Bus;

/// How large a budget is, and how fast it fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub maximum: u64,
    pub per_second: u64,
}

/// Whose budget, and how large it is.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: String,
    pub size: Size,
}

/// What came of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// Taken; so much is left in the first account.
    Taken(u64),
    /// There is not enough: again in so many seconds.
    Wait(u64),
}

/// What is left, in millionths.
#[derive(Debug)]
struct Left {
    millionths: i128,
    at: Micros,
}

pub struct Budgets {
    known: Cache<String, Arc<Mutex<Left>>>,
    bus: Bus,
}

const WHOLE: i128 = 1_000_000;

/// Looks into every account, and takes the amount if it is in all of them. Given: an amount, which is negative to give
/// back, and a maximum and a rate per second for each account. Returns what is left in the first account, or how many
/// seconds it takes, as a negative number.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local amount = tonumber(ARGV[1])
local left, wait = {}, 0
for i, key in ipairs(KEYS) do
  local maximum, rate = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local known = redis.call('HMGET', key, 'l', 't')
  local was, at = tonumber(known[1]) or maximum, tonumber(known[2]) or now
  left[i] = math.min(maximum, was + math.max(0, now - at) * rate)
  if amount > 0 and left[i] < amount then
    wait = math.max(wait, math.ceil((math.min(amount, maximum) - left[i]) / rate), 1)
  end
end
if wait > 0 then return -wait end
for i, key in ipairs(KEYS) do
  local maximum, rate = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  left[i] = math.min(maximum, left[i] - amount)
  redis.call('HSET', key, 'l', tostring(left[i]), 't', tostring(now))
  redis.call('EXPIRE', key, math.ceil(maximum / rate) + 1)
end
return math.floor(left[1])
";

impl Budgets {
    pub fn new(bus: Bus) -> Self {
        Self { known: Cache::new(100_000), bus }
    }

    /// Takes an amount out of all accounts, or out of none.
    pub async fn charge(&self, accounts: &[Account], amount: u64, now: Micros) -> Charged {
        let shared = self.shared(accounts, i64::try_from(amount).unwrap_or(i64::MAX)).await;
        match shared {
            Some(left) => u64::try_from(left).map_or(Charged::Wait(left.unsigned_abs()), Charged::Taken),
            None => self.charge_here(accounts, amount, now),
        }
    }

    /// Gives back what was not needed: what is left in the first account then.
    pub async fn refund(&self, accounts: &[Account], amount: u64, now: Micros) -> u64 {
        let shared = self.shared(accounts, i64::try_from(amount).unwrap_or(i64::MAX).saturating_neg()).await;
        match shared {
            Some(left) => u64::try_from(left).unwrap_or(0),
            None => self.refund_here(accounts, amount, now),
        }
    }

    async fn shared(&self, accounts: &[Account], amount: i64) -> Option<i64> {
        if self.bus.is_alone() {
            return None;
        }
        let keys: Vec<String> = accounts.iter().map(|account| format!("budget:{}", account.name)).collect();
        let mut arguments = vec![amount.to_string()];
        for account in accounts {
            arguments.extend([account.size.maximum.to_string(), account.size.per_second.max(1).to_string()]);
        }
        self.bus.run(SCRIPT, &keys, &arguments).await
    }

    fn charge_here(&self, accounts: &[Account], amount: u64, now: Micros) -> Charged {
        let wanted = i128::from(amount) * WHOLE;
        let places: Vec<Arc<Mutex<Left>>> = accounts.iter().map(|account| self.place(account, now)).collect();
        // Always in the same order: whoever holds the first waits for the second, never the other way round.
        let mut held: Vec<_> = places.iter().map(|place| place.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let mut wait = 0;
        for (left, account) in held.iter_mut().zip(accounts) {
            left.fill(account.size, now);
            if left.millionths < wanted {
                let missing = wanted.min(i128::from(account.size.maximum) * WHOLE) - left.millionths;
                let rate = i128::from(account.size.per_second.max(1)) * WHOLE;
                wait = wait.max(u64::try_from(missing.div_euclid(rate) + 1).unwrap_or(1));
            }
        }
        if wait > 0 {
            return Charged::Wait(wait);
        }
        held.iter_mut().for_each(|left| left.millionths -= wanted);
        Charged::Taken(held.first().map_or(0, |left| left.whole()))
    }

    fn refund_here(&self, accounts: &[Account], amount: u64, now: Micros) -> u64 {
        let mut first = None;
        for account in accounts {
            let place = self.place(account, now);
            let mut left = place.lock().unwrap_or_else(PoisonError::into_inner);
            left.fill(account.size, now);
            left.millionths = (left.millionths + i128::from(amount) * WHOLE).min(i128::from(account.size.maximum) * WHOLE);
            first = first.or_else(|| Some(left.whole()));
        }
        first.unwrap_or(0)
    }

    fn place(&self, account: &Account, now: Micros) -> Arc<Mutex<Left>> {
        let full = || Arc::new(Mutex::new(Left { millionths: i128::from(account.size.maximum) * WHOLE, at: now }));
        let made = self.known.get_or_insert_with(&account.name, || Ok::<_, std::convert::Infallible>(full()));
        let Ok(place) = made;
        place
    }
}

impl Left {
    fn fill(&mut self, size: Size, now: Micros) {
        let passed = i128::from((now.0 - self.at.0).max(0));
        self.millionths = (self.millionths + passed * i128::from(size.per_second)).min(i128::from(size.maximum) * WHOLE);
        self.at = now;
    }

    fn whole(&self) -> u64 {
        u64::try_from(self.millionths.div_euclid(WHOLE)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, maximum: u64, per_second: u64) -> Account {
        Account { name: name.to_owned(), size: Size { maximum, per_second } }
    }

    #[tokio::test]
    async fn a_budget_is_used_up_and_fills_up_again() {
        let budgets = Budgets::new(Bus::default());
        let at = |second: i64| Micros(second * 1_000_000);
        let both = [account("credential", 100, 10), account("workspace", 150, 100)];
        assert_eq!(budgets.charge(&both, 80, at(0)).await, Charged::Taken(20));
        assert_eq!(budgets.charge(&both, 80, at(0)).await, Charged::Wait(7));
        assert_eq!(budgets.refund(&both, 30, at(0)).await, 50);
        assert_eq!(budgets.charge(&both, 50, at(0)).await, Charged::Taken(0));
        // Another credential of the same workspace, in which 50 are left.
        let other = [account("other", 100, 10), account("workspace", 150, 100)];
        assert_eq!(budgets.charge(&other, 90, at(0)).await, Charged::Wait(1));
        assert_eq!(budgets.charge(&other, 90, at(1)).await, Charged::Taken(10));
        assert_eq!(budgets.charge(&both, 11, at(1)).await, Charged::Wait(1));
        assert_eq!(budgets.charge(&both, 10, at(1)).await, Charged::Taken(0));
    }
}
