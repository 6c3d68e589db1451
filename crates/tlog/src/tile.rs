//! Tiles: how a tree is cut into files 256 hashes wide, and what those files are called.
//!
//! C2SP tlog-tiles ("Merkle Tree", "Partial Tiles", "Log entries") and static-ct-api ("Log
//! entries"). Parsing here is the only way from text of the outside to the name of an object.

use std::fmt;
use std::str::FromStr;

use crypto::merkle::{NodeHash, node_hash};
use evidence::TreeSize;

/// Hashes, or entries, in a full tile (C2SP tlog-tiles: "exactly 256 hashes wide").
pub const TILE_WIDTH: u64 = 256;

/// Levels of the tree that one tile spans.
pub(crate) const TILE_HEIGHT: u32 = 8;

/// Levels of tiles that a tree of 2⁶⁴ leaves has. The grammar allows 64; these never exist.
pub(crate) const TILE_LEVELS: u8 = 8;

/// Size of a full tile of hashes in bytes.
pub const HASH_TILE_SIZE: usize = 256 * 32;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes at a level of tiles: `tile/<L>/…`. Level 0 holds leaf hashes.
    Hashes {
        /// The level, counted in tiles.
        level: u8,
    },
    /// Entries with 16-bit lengths before them: `tile/entries/…` (C2SP tlog-tiles).
    Entries,
    /// Certificates with their timestamps: `tile/data/…` (C2SP static-ct-api).
    Certificates,
    /// What is kept beside each entry and is not in the tree: `side/…`. Never served, and so not
    /// in the grammar of [`Tile::from_str`].
    Side,
}

/// One tile: its kind, its place, and its width in hashes or entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    /// Between 1 and [`TILE_WIDTH`]: there are no empty tiles.
    width: u16,
}

/// Text that is not the path of a tile, in its one canonical spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile: wanted `tile/<L>/<N>[.p/<W>]` as C2SP tlog-tiles spells it")]
pub struct ParseTileError;

impl Tile {
    /// A tile of 256.
    #[must_use]
    pub fn full(kind: TileKind, index: u64) -> Self {
        Self { kind, index, width: TILE_WIDTH as u16 }
    }

    /// A tile of that width; `None` unless the width is between 1 and 256.
    #[must_use]
    pub fn of_width(kind: TileKind, index: u64, width: u64) -> Option<Self> {
        let width = u16::try_from(width).ok()?;
        (1..=TILE_WIDTH as u16).contains(&width).then_some(Self { kind, index, width })
    }

    /// What it holds.
    #[must_use]
    pub fn kind(self) -> TileKind {
        self.kind
    }

    /// Its place among the tiles of its kind, counted from 0.
    #[must_use]
    pub fn index(self) -> u64 {
        self.index
    }

    /// Number of hashes or entries in it, between 1 and 256.
    #[must_use]
    pub fn width(self) -> u64 {
        u64::from(self.width)
    }

    /// Whether it is a full tile.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.width() == TILE_WIDTH
    }

    /// Whether a tree of that size has this tile, or a wider one in the same place.
    #[must_use]
    pub fn is_within(self, size: TreeSize) -> bool {
        let available = self.kind.count(size);
        self.index
            .checked_mul(TILE_WIDTH)
            .and_then(|start| start.checked_add(self.width()))
            .is_some_and(|end| end <= available)
    }

    /// The path without the suffix that tells the width: the same for all widths of one place.
    #[must_use]
    pub fn place(self) -> String {
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        let number = groups.join("/");
        match self.kind {
            TileKind::Hashes { level } => format!("tile/{level}/{number}"),
            TileKind::Entries => format!("tile/entries/{number}"),
            TileKind::Certificates => format!("tile/data/{number}"),
            TileKind::Side => format!("side/{number}"),
        }
    }
}

impl TileKind {
    /// How many hashes or entries of this kind a tree of that size has, in full and partial tiles.
    #[must_use]
    pub fn count(self, size: TreeSize) -> u64 {
        let level = match self {
            Self::Hashes { level } => u32::from(level),
            Self::Entries | Self::Certificates | Self::Side => 0,
        };
        size.0.checked_shr(level * TILE_HEIGHT).unwrap_or(0)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = ParseTileError;

    /// Parses `tile/<L>/<N>[.p/<W>]`, `tile/entries/…` or `tile/data/…`. Only the canonical
    /// spelling passes: what is accepted prints as the same text.
    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let rest = path.strip_prefix("tile/").ok_or(ParseTileError)?;
        let (kind, rest) = rest.split_once('/').ok_or(ParseTileError)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            "data" => TileKind::Certificates,
            // C2SP tlog-tiles: "a decimal ASCII integer between 0 and 63".
            level => {
                let level = decimal(level).filter(|level| *level < 64).ok_or(ParseTileError)?;
                TileKind::Hashes { level: level as u8 }
            }
        };
        let (number, width) = match rest.split_once(".p/") {
            // C2SP tlog-tiles: "a decimal ASCII integer between 1 and 255".
            Some((number, width)) => {
                let width = decimal(width).filter(|width| (1..TILE_WIDTH).contains(width));
                (number, width.ok_or(ParseTileError)?)
            }
            None => (rest, TILE_WIDTH),
        };
        let index = index_of(number).ok_or(ParseTileError)?;
        Self::of_width(kind, index, width).ok_or(ParseTileError)
    }
}

/// A number of at most three digits without leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| canonical && digits)
}

/// `x001/x234/067`: three digits an element, all but the last after an `x`, no empty first one.
fn index_of(text: &str) -> Option<u64> {
    let mut index: u64 = 0;
    let mut groups = text.split('/').peekable();
    let mut is_first = true;
    while let Some(group) = groups.next() {
        let is_last = groups.peek().is_none();
        let digits = if is_last { group } else { group.strip_prefix('x')? };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if is_first && !is_last && digits == "000" {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        is_first = false;
    }
    Some(index)
}

/// The hashes of one tile and of every complete subtree inside it, so that a proof looks each up.
#[derive(Debug)]
pub(crate) struct FoldedTile {
    /// `heights[h][i]` is the hash over the tile's hashes `i·2ʰ .. (i+1)·2ʰ`.
    heights: Vec<Vec<NodeHash>>,
}

impl FoldedTile {
    /// Hashes every complete subtree of up to 256 hashes.
    pub(crate) fn new(hashes: &[NodeHash]) -> Self {
        debug_assert!(hashes.len() as u64 <= TILE_WIDTH, "a tile holds at most 256 hashes");
        let mut heights = vec![hashes.to_vec()];
        while let Some(below) = heights.last().filter(|below| below.len() > 1) {
            let above = below.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
            heights.push(above);
        }
        Self { heights }
    }

    /// The hash of the `index`th complete subtree of that height, if it is inside the tile.
    pub(crate) fn node(&self, height: u32, index: u64) -> Option<NodeHash> {
        let row = self.heights.get(height as usize)?;
        row.get(usize::try_from(index).ok()?).copied()
    }

    /// The hash over all 256, if the tile is full.
    pub(crate) fn root(&self) -> Option<NodeHash> {
        self.node(TILE_HEIGHT, 0)
    }

    /// The roots of the complete subtrees that make up the tile, the widest (leftmost) first.
    pub(crate) fn peaks(&self) -> Vec<NodeHash> {
        let width = self.heights[0].len();
        (0..=TILE_HEIGHT)
            .rev()
            .filter(|height| width >> height & 1 == 1)
            // Left of the peak of this height stand the wider ones: the bits of `width` above it.
            .filter_map(|height| self.node(height, (width >> height) as u64 - 1))
            .collect()
    }
}

/// Cuts the bytes of a tile of hashes; `None` unless they are a whole number of hashes.
pub(crate) fn split_hashes(bytes: &[u8]) -> Option<Vec<NodeHash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}
