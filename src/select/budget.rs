//! A budget of tokens that categories share.

/// A category that wants tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Of its share, against those of the others; not negative.
    pub weight: f64,
    /// All that it has.
    pub tokens: u64,
}

/// Shares a budget out by weight. A category that has less than its share gives what is left to the others, by weight again.
pub(super) fn share(budget: u64, claims: &[Claim]) -> Vec<u64> {
    let mut shares = vec![0; claims.len()];
    let mut open: Vec<usize> = (0..claims.len()).filter(|place| claims[*place].weight > 0.0).collect();
    let mut left = budget;
    loop {
        let weights: f64 = open.iter().map(|place| claims[*place].weight).sum();
        let shared = left;
        // Rounded down, so that all shares together never are more than the budget.
        let share = |place: usize| ((shared as f64 * (claims[place].weight / weights)) as u64).min(shared);
        let (met, unmet): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|place| claims[**place].tokens <= share(**place));
        if met.is_empty() {
            open.iter().for_each(|place| shares[*place] = share(*place));
            return shares;
        }
        for place in met {
            shares[place] = claims[place].tokens;
            left = left.saturating_sub(claims[place].tokens);
        }
        open = unmet;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(budget: u64, claims: &[(f64, u64)]) -> Vec<u64> {
        let claims: Vec<_> = claims.iter().map(|(weight, tokens)| Claim { weight: *weight, tokens: *tokens }).collect();
        share(budget, &claims)
    }

    #[test]
    fn shares_go_by_weight_and_what_is_left_goes_on() {
        assert_eq!(shares(100, &[(1.0, 1000), (1.0, 1000)]), [50, 50]);
        assert_eq!(shares(100, &[(3.0, 1000), (1.0, 1000)]), [75, 25]);
        assert_eq!(shares(100, &[(1.0, 10), (1.0, 1000), (2.0, 1000)]), [10, 30, 60]);
        assert_eq!(shares(100, &[(1.0, 10), (1.0, 20)]), [10, 20]);
        assert_eq!(shares(100, &[(0.0, 1000), (1.0, 1000)]), [0, 100]);
        assert_eq!(shares(100, &[]), [0; 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_wasted_nor_overspent(
            budget in 0u64..1_000_000,
            claims in prop::collection::vec((0.1f64..9.0, 0u64..300_000), 1..9),
        ) {
            let found = shares(budget, &claims);
            let (spent, all): (u64, u64) = (found.iter().sum(), claims.iter().map(|claim| claim.1).sum());
            prop_assert!(spent <= budget);
            prop_assert!(spent + claims.len() as u64 >= budget.min(all), "{found:?}");
            prop_assert!(found.iter().zip(&claims).all(|(share, claim)| *share <= claim.1));
        }
    }
}
