//! Names for apps whose owner did not think of one: `quiet-river-12345`.

use paas_core::AppName;

const ADJECTIVES: [&str; 32] = [
    "ancient",
    "autumn",
    "blooming",
    "bold",
    "calm",
    "cool",
    "crimson",
    "damp",
    "dawn",
    "evening",
    "fierce",
    "frosty",
    "gentle",
    "hidden",
    "icy",
    "limitless",
    "lingering",
    "misty",
    "morning",
    "mighty",
    "peaceful",
    "polar",
    "quiet",
    "rocky",
    "rough",
    "salty",
    "silent",
    "sleepy",
    "snowy",
    "still",
    "sunny",
    "wild",
];
const NOUNS: [&str; 32] = [
    "bayou",
    "beach",
    "brook",
    "cliffs",
    "cove",
    "crag",
    "dawn",
    "dusk",
    "escarpment",
    "everglades",
    "falls",
    "fjord",
    "forest",
    "garden",
    "glade",
    "harbor",
    "hollows",
    "island",
    "lake",
    "meadow",
    "mountain",
    "oasis",
    "peak",
    "plains",
    "ravine",
    "reef",
    "ridge",
    "river",
    "savannah",
    "shore",
    "stream",
    "tundra",
];

/// A new name. The numbers make a name that is already taken unlikely, not impossible.
pub(super) fn invent() -> AppName {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the kernel has randomness once the machine has booted");
    from_number(u64::from_le_bytes(random))
}

fn from_number(random: u64) -> AppName {
    let [first, second, ..] = random.to_le_bytes();
    let pick = |words: &[&'static str; 32], byte: u8| words[usize::from(byte % 32)];
    let number = 10_000 + (random >> 16) % 90_000;
    format!("{}-{}-{number}", pick(&ADJECTIVES, first), pick(&NOUNS, second))
        .parse()
        .expect("the words are short lower-case letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_words_is_a_valid_name() {
        for adjective in 0..32 {
            for noun in 0..32 {
                let name = from_number(adjective | noun << 8 | u64::MAX << 16);
                assert_eq!(name.as_str().split('-').count(), 3, "{name}");
            }
        }
    }

    #[test]
    fn names_differ() {
        assert_ne!(invent(), invent());
    }
}
