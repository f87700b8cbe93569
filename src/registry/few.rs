//! A list that most often has one item: that one lies in place, and only more need memory of their own.

use std::ops::{Deref, DerefMut};

/// A list of copies. An allocation of several goes back when one is left.
#[derive(Debug)]
pub(crate) enum Few<T> {
    One(T),
    /// None, or several.
    Many(Vec<T>),
}

impl<T: Copy> Few<T> {
    pub(crate) fn one(item: T) -> Few<T> {
        Few::One(item)
    }

    pub(crate) fn push(&mut self, item: T) {
        match self {
            Few::One(first) => *self = Few::Many(vec![*first, item]),
            Few::Many(items) => items.push(item),
        }
    }

    /// Takes the item at `at` away and puts the last into its place.
    ///
    /// # Panics
    ///
    /// If there is no such item.
    pub(crate) fn swap_remove(&mut self, at: usize) -> T {
        match self {
            Few::One(item) => {
                assert!(at == 0, "item {at} of one");
                let item = *item;
                *self = Few::Many(Vec::new());
                item
            }
            Few::Many(items) => {
                let removed = items.swap_remove(at);
                if let [last] = **items {
                    *self = Few::One(last);
                } else if items.capacity() > 64 && items.capacity() > 8 * items.len() {
                    items.shrink_to(2 * items.len());
                }
                removed
            }
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Few::One(item) => std::slice::from_ref(item),
            Few::Many(items) => items,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Few::One(item) => std::slice::from_mut(item),
            Few::Many(items) => items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_needs_no_memory_of_its_own() {
        let mut few = Few::one(7);
        few.push(8);
        few.push(9);
        assert_eq!((few.swap_remove(0), &*few), (7, &[9, 8][..]));
        assert_eq!(few.swap_remove(0), 9);
        assert!(matches!(few, Few::One(8)));
        assert_eq!(few.swap_remove(0), 8);
        assert!(few.is_empty());
        few.push(1);
        assert_eq!(*few, [1]);
    }
}
