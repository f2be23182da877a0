use super::row;
use crate::engine::{Access, Intent, Result};
use std::collections::BTreeMap;

#[derive(Default)]
struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);

impl Access for Rows {
    fn get(&mut self, key: &[u8], _: Intent, out: &mut Vec<u8>) -> Result<bool> {
        Ok(self.0.get(key).inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.insert(key.to_vec(), value.to_vec());
        Ok(())
    }
}

#[test]
fn keys_sort_by_table_and_numbers_and_tell_them() {
    let keys = [
        row::key(1, [9; 4]),
        row::key(2, [0, 255, 0, 0]),
        row::key(2, [0, 256, 0, 0]),
        row::key(2, [1, 0, 0, 0]),
    ];
    assert!(keys.is_sorted());
    assert_eq!(row::parts(&keys[2]).expect("a key"), (2, [0, 256, 0, 0]));
    assert!(row::parts(&keys[0][1..]).is_err());
}

#[test]
fn an_update_changes_the_numbers_and_nothing_else() {
    let (mut rows, mut value, key) = (Rows::default(), Vec::new(), row::key(1, [1, 2, 3, 4]));
    row::encode([1, -2, i64::MIN], 50, &mut value);
    let padding = value[24..].to_vec();
    rows.put(&key, &value).expect("put");
    let before = row::update(&mut rows, &key, &mut value, |[one, two, three]| [one + 1, two - 1, three]);
    assert_eq!(before.expect("updated"), [1, -2, i64::MIN]);
    assert_eq!(row::fields(&rows.0[&key[..]]).expect("numbers"), [2, -3, i64::MIN]);
    assert_eq!(rows.0[&key[..]][24..], padding);
    assert!(row::update(&mut rows, &row::key(1, [0; 4]), &mut value, |fields| fields).is_err());
}
