//! What a mistyped word was probably meant to be. Only for suggestions in messages.

/// The candidate that `word` is most likely a slip of: at most a third of its letters, and one in short
/// words, are wrong, missing, too many or swapped.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    let (best, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    (best <= (candidate.chars().count() / 3).max(1)).then_some(candidate)
}

/// Edits between two words: insertions, deletions, substitutions and swaps of neighbours each count one
/// (optimal string alignment). Case doesn't count.
fn distance(left: &str, right: &str) -> usize {
    let letters = |word: &str| word.to_lowercase().chars().take(64).collect::<Vec<_>>();
    let (left, right) = (letters(left), letters(right));
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row];
        for column in 1..=right.len() {
            let differs = usize::from(left[row - 1] != right[column - 1]);
            let mut least = (above[column] + 1).min(current[column - 1] + 1).min(above[column - 1] + differs);
            let neighbours = row > 1 && column > 1;
            if neighbours && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1] {
                least = least.min(before[column - 2] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, ["payout", "nodes", "name", "max_outputs", "max_miners"]), expected, "{word}");
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_another_word_none() {
        case("payuot", Some("payout"));
        case("Payouts", Some("payout"));
        case("node", Some("nodes"));
        case("maxoutput", Some("max_outputs"));
        case("max-miners", Some("max_miners"));
        case("nmae", Some("name"));
        case("fee", None);
        case("", None);
        assert_eq!(nearest("x", []), None);
    }
}
