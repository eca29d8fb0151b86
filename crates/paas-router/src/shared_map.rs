//! A map whose copies share whatever did not change between them.
//!
//! A table has one entry per hostname, and a change of the table is a change of one or two of them: a copy is as cheap as
//! its number of shards, and a change copies one shard. A lookup hashes once, as in any other map.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use hashbrown::HashTable;

/// 10,000 entries make shards of 40: as much to copy as there are shards to share.
const SHARDS: usize = 256;

#[derive(Clone)]
pub(crate) struct SharedMap<K, V> {
    hasher: RandomState,
    shards: Vec<Arc<HashTable<(K, V)>>>,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: vec![Arc::default(); SHARDS],
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> SharedMap<K, V> {
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let entry = self.shards[shard(hash)].find(hash, |(known, _)| known.borrow() == key);
        entry.map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let Self { hasher, shards } = self;
        let hash = hasher.hash_one(&key);
        let shard = Arc::make_mut(&mut shards[shard(hash)]);
        match shard.find_mut(hash, |(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => {
                shard.insert_unique(hash, (key, value), |(key, _)| hasher.hash_one(key));
            }
        }
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let shard = Arc::make_mut(&mut self.shards[shard(hash)]);
        if let Ok(entry) = shard.find_entry(hash, |(known, _)| known.borrow() == key) {
            entry.remove();
        }
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.shards
            .iter()
            .flat_map(|shard| shard.iter().map(|(_, value)| value))
    }
}

/// The table within a shard looks at the lowest and the highest bits of a hash; these are others.
fn shard(hash: u64) -> usize {
    usize::from(hash.to_le_bytes()[4])
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_copy_is_its_own_and_shares_what_did_not_change() {
        let mut map = SharedMap::default();
        let mut model = HashMap::new();
        for number in 0..5_000_u32 {
            map.insert(number.to_string(), number);
            model.insert(number.to_string(), number);
        }
        let before = map.clone();
        for number in (0..5_000_u32).step_by(7) {
            map.remove(number.to_string().as_str());
            model.remove(&number.to_string());
        }
        map.insert("1".to_owned(), 77);
        model.insert("1".to_owned(), 77);
        map.remove("no such key");
        for number in 0..5_000_u32 {
            let key = number.to_string();
            assert_eq!(map.get(key.as_str()), model.get(&key));
            assert_eq!(before.get(key.as_str()), Some(&number));
        }
        assert_eq!(map.values().count(), model.len());

        let mut next = map.clone();
        next.insert("new".to_owned(), 1);
        let shared = map
            .shards
            .iter()
            .zip(&next.shards)
            .filter(|(left, right)| Arc::ptr_eq(left, right));
        assert_eq!(shared.count(), SHARDS - 1);
    }
}
