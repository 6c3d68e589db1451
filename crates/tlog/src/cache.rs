//! A cache of bounded weight for things that never change.
//!
//! Two generations: what is used moves to the young one; when that is full it becomes the old one,
//! and what stood there is dropped. Between one and two times the bound is kept.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Cache<K, V> {
    generations: Mutex<Generations<K, V>>,
    weight_max: usize,
}

struct Generations<K, V> {
    young: HashMap<K, (Arc<V>, usize)>,
    old: HashMap<K, (Arc<V>, usize)>,
    young_weight: usize,
}

impl<K: Eq + Hash + Copy, V> Cache<K, V> {
    pub(crate) fn new(weight_max: usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { generations: Mutex::new(Generations { young, old, young_weight: 0 }), weight_max }
    }

    pub(crate) fn get(&self, key: K) -> Option<Arc<V>> {
        let mut generations = self.lock();
        if let Some((value, _)) = generations.young.get(&key) {
            return Some(Arc::clone(value));
        }
        let (value, weight) = generations.old.remove(&key)?;
        self.add(&mut generations, key, &value, weight);
        Some(value)
    }

    pub(crate) fn insert(&self, key: K, value: V, weight: usize) -> Arc<V> {
        let value = Arc::new(value);
        self.add(&mut self.lock(), key, &value, weight);
        value
    }

    pub(crate) fn remove(&self, key: K) {
        let mut generations = self.lock();
        generations.old.remove(&key);
        if let Some((_, weight)) = generations.young.remove(&key) {
            generations.young_weight -= weight;
        }
    }

    fn add(&self, generations: &mut Generations<K, V>, key: K, value: &Arc<V>, weight: usize) {
        if generations.young_weight + weight > self.weight_max {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_weight = 0;
        }
        if generations.young.insert(key, (Arc::clone(value), weight)).is_none() {
            generations.young_weight += weight;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations<K, V>> {
        // A cache left half-changed by a panic is still a cache.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn keeps_what_is_used_and_stays_within_twice_its_bound() {
        let cache = Cache::new(10);
        for key in 0..1000u32 {
            cache.insert(key, key, 1);
            assert_eq!(cache.get(0).as_deref(), Some(&0), "used at every step, so never dropped");
            let generations = cache.lock();
            assert!(generations.young.len() + generations.old.len() <= 20);
        }
        assert!(cache.get(500).is_none());
        assert_eq!(cache.get(999).as_deref(), Some(&999));
    }
}
