//! Paths of tiles, and what is served under them.

use evidence::TreeSize;
use tlog::{Tile, TileKind};

use testkit::merkle;

use crate::numbered;
use crate::world::{append, create};

#[test]
fn canonical_paths_are_read_and_written_alike() {
    let hashes = |level| TileKind::Hashes { level };
    let cases = [
        ("tile/0/000", hashes(0), 0, 256),
        ("tile/0/999", hashes(0), 999, 256),
        ("tile/0/x001/000", hashes(0), 1000, 256),
        ("tile/3/x001/x234/067", hashes(3), 1_234_067, 256),
        ("tile/63/005.p/255", hashes(63), 5, 255),
        ("tile/1/000.p/1", hashes(1), 0, 1),
        ("tile/entries/x273/112.p/17", TileKind::Entries, 273_112, 17),
        ("tile/data/000", TileKind::Certificates, 0, 256),
    ];
    for (path, kind, index, width) in cases {
        let tile: Tile = path.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!((tile.kind(), tile.index(), tile.width()), (kind, index, width));
        assert_eq!(tile.to_string(), path);
    }
    let largest = Tile::full(TileKind::Entries, u64::MAX).to_string();
    assert_eq!(largest, "tile/entries/x018/x446/x744/x073/x709/x551/615");
    assert_eq!(largest.parse(), Ok(Tile::full(TileKind::Entries, u64::MAX)));
}

#[test]
fn other_paths_are_refused() {
    let refused = [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "Tile/0/000",
        "tile/64/000",
        "tile/00/000",
        "tile/01/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/a/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/00a",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/",
        "tile/0/x01/000",
        "tile/0/X001/000",
        "tile/0/x001//000",
        "tile/0/x001/x000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/1/",
        "tile/0/000.P/1",
        "tile/0/000.p/1.p/1",
        "tile/0/.p/1",
        "tile/0/000p/1",
        "tile/0/٠٠٠",
        "tile/0/000\0",
        "tile/../checkpoint",
        "tile/0/../../000",
        "tile/0/x..\\/000",
        "tile/entries/../../lock",
        "tile/%65ntries/000",
        "tile/side/000",
        "side/000",
        "checkpoint",
        "staged/1-00",
        "tile//000",
        "tile/entries",
        "tile/entries/000.p/-1",
        "tile/data/0x1",
    ];
    for path in refused {
        assert!(path.parse::<Tile>().is_err(), "{path:?} was taken for a tile");
    }
}

#[test]
fn a_tree_has_the_tiles_it_has() {
    let within = |path: &str, size| path.parse::<Tile>().unwrap().is_within(TreeSize(size));
    assert!(!within("tile/0/000.p/1", 0), "there are no empty tiles");
    assert!(within("tile/0/000.p/1", 1));
    assert!(!within("tile/0/000.p/2", 1));
    assert!(!within("tile/0/000", 255));
    assert!(within("tile/0/000", 256));
    assert!(within("tile/0/000.p/17", 70_000), "narrower tiles can be cut from wider ones");
    assert!(!within("tile/1/000.p/1", 255));
    assert!(within("tile/1/000.p/1", 256));
    assert!(within("tile/2/000.p/1", 70_000));
    assert!(!within("tile/2/000.p/2", 70_000));
    assert!(!within("tile/3/000.p/1", 70_000));
    assert!(!within("tile/8/000.p/1", u64::MAX), "no tree has a ninth level");
    assert!(!within("tile/63/000.p/1", u64::MAX));
    let last = Tile::full(TileKind::Entries, u64::MAX);
    assert!(!last.is_within(TreeSize(u64::MAX)));
}

#[test]
fn tiles_are_served_at_every_width_that_was_published_and_no_other() {
    let (_world, log, mut sequencer) = create();
    for first in (0..600).step_by(50) {
        append(&log, &mut sequencer, first..first + 50);
    }
    let leaves = numbered::hashes(600);
    let serve = |path: &str| log.tile(path.parse().unwrap()).unwrap();
    for width in 1..256 {
        // Also those that were deleted when the full tile came.
        let served = serve(&format!("tile/0/001.p/{width}")).unwrap();
        assert_eq!(served, leaves[256..256 + width].concat());
        let entries = serve(&format!("tile/entries/001.p/{width}")).unwrap();
        assert_eq!(entries, bundle(256..256 + width));
        let expected = (width <= 600 - 512).then(|| leaves[512..512 + width].concat());
        assert_eq!(serve(&format!("tile/0/002.p/{width}")), expected, "width {width}");
        let expected = (width <= 600 - 512).then(|| bundle(512..512 + width));
        assert_eq!(serve(&format!("tile/entries/002.p/{width}")), expected, "width {width}");
    }
    assert_eq!(serve("tile/0/000").unwrap(), leaves[..256].concat());
    assert_eq!(serve("tile/entries/001").unwrap(), bundle(256..512));
    let above = [merkle::root(&leaves[..256]), merkle::root(&leaves[256..512])];
    assert_eq!(serve("tile/1/000.p/1").unwrap(), above[0]);
    assert_eq!(serve("tile/1/000.p/2").unwrap(), above.concat());
    for path in [
        "tile/0/002",
        "tile/0/003",
        "tile/0/003.p/1",
        "tile/1/000",
        "tile/1/000.p/3",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/entries/002",
        "tile/data/000",
        "tile/data/000.p/1",
        "tile/63/000",
    ] {
        assert_eq!(serve(path), None, "{path}");
    }
    let side = Tile::full(TileKind::Side, 0);
    assert_eq!(log.tile(side).unwrap(), None, "what is kept beside the entries is not served");
}

fn bundle(numbers: std::ops::Range<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers {
        let entry = numbered::entry(number);
        bytes.extend((entry.len() as u16).to_be_bytes());
        bytes.extend(entry);
    }
    bytes
}
