//! Which server names of foreign TLS are metric labels: whoever connects chooses them, so they are few.
//!
//! Past [`MOST`] names a new one takes the place of one that was not met for a while, as the metrics themselves forget it; while there is
//! none such, it is counted as [`OTHER`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Names(RefCell<HashMap<Box<str>, Instant>>);

impl Names {
    /// The name as a label.
    pub(super) fn bounded<'a>(&self, name: &'a str, now: Instant) -> &'a str {
        let mut known = self.0.borrow_mut();
        if let Some(met) = known.get_mut(name) {
            *met = now;
            return name;
        }
        if known.len() >= MOST {
            known.retain(|_, met| now.saturating_duration_since(*met) < FORGOTTEN);
        }
        if known.len() >= MOST {
            return OTHER;
        }
        known.insert(name.into(), now);
        name
    }
}

const MOST: usize = 128;
/// No name: parentheses are in none.
const OTHER: &str = "(other)";
const FORGOTTEN: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: however many names clients make up, labels stay few; a known name keeps its own, and room comes with time.
    #[test]
    fn names_are_bounded() {
        let (names, start) = (Names::default(), crate::clock::now());
        for number in 0..MOST {
            let name = format!("{number}.example");
            assert_eq!(names.bounded(&name, start), name);
        }
        assert_eq!(names.bounded("late.example", start), OTHER);
        let later = start + FORGOTTEN / 2;
        assert_eq!(names.bounded("7.example", later), "7.example");
        let much_later = start + FORGOTTEN;
        assert_eq!(names.bounded("late.example", much_later), "late.example");
        assert_eq!(names.0.borrow().len(), 2, "the one met since, and the new one");
    }
}
