//! Who owns what, as a grid: one cell for one bucket, or for a few neighbours where there are too many.

use std::{collections::BTreeMap, ops::Range};

use anstyle::{Ansi256Color, Style};
use ratatui::style::Color;

/// A grid of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    /// How many buckets a cell stands for; the last one may stand for fewer.
    pub(crate) per_cell: u32,
    /// The owner of most of a cell's buckets, by its place among all owners; `None` where that is nobody.
    pub(crate) cells: Vec<Option<usize>>,
}

impl Grid {
    /// A grid of `size` buckets in at most `room` cells. `runs` are neighbours of one owner.
    pub(crate) fn new(
        size: u32,
        room: u32,
        runs: impl IntoIterator<Item = (Range<u32>, Option<usize>)>,
    ) -> Self {
        let per_cell = size.div_ceil(room.max(1)).max(1);
        let mut cells = vec![None; size.div_ceil(per_cell) as usize];
        let mut votes: BTreeMap<Option<usize>, u32> = BTreeMap::new();
        let mut at = 0;
        for (buckets, owner) in runs {
            let mut from = buckets.start;
            while from < buckets.end {
                let cell = from / per_cell;
                if cell != at {
                    elect(&mut cells, at, &mut votes);
                    at = cell;
                }
                let to = buckets.end.min((cell + 1) * per_cell);
                *votes.entry(owner).or_default() += to - from;
                from = to;
            }
        }
        elect(&mut cells, at, &mut votes);
        Self { per_cell, cells }
    }

    /// The letter of an owner; a dot for nobody. After 62 owners they begin again.
    pub(crate) fn letter(owner: Option<usize>) -> char {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        owner.map_or('.', |owner| char::from(letters[owner % letters.len()]))
    }

    /// The grid as text, `width` cells a line, each line with the number of its first bucket.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let rows = self.cells.chunks(width.max(1)).enumerate();
        rows.map(|(row, cells)| {
            let first = (row * width) as u64 * u64::from(self.per_cell);
            let mut text = format!("{first:>8} ");
            for &cell in cells {
                let style = cell.map_or_else(Style::new, |owner| {
                    Style::new().fg_color(Some(color(owner).into()))
                });
                text.push_str(&format!("{style}{}{style:#}", Self::letter(cell)));
            }
            text
        })
        .collect()
    }
}

fn elect(cells: &mut [Option<usize>], at: u32, votes: &mut BTreeMap<Option<usize>, u32>) {
    let most = std::mem::take(votes)
        .into_iter()
        .max_by_key(|&(_, votes)| votes);
    if let (Some(cell), Some((owner, _))) = (cells.get_mut(at as usize), most) {
        *cell = owner;
    }
}

/// The colour of an owner.
pub(crate) fn color(owner: usize) -> Ansi256Color {
    // Colours that differ on dark and on light backgrounds.
    const PALETTE: [u8; 12] = [39, 208, 41, 171, 220, 203, 45, 107, 99, 178, 168, 73];
    Ansi256Color(PALETTE[owner % PALETTE.len()])
}

/// The colour of a style on a ratatui screen.
pub(crate) fn terminal_color(style: Style) -> Color {
    match style.get_fg_color() {
        Some(anstyle::Color::Ansi(color)) => Color::Indexed(Ansi256Color::from(color).0),
        Some(anstyle::Color::Ansi256(color)) => Color::Indexed(color.0),
        _ => Color::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_group_has_a_cell_for_each_bucket() {
        let grid = Grid::new(4, 100, [(0..1, Some(0)), (1..3, None), (3..4, Some(1))]);
        assert_eq!(grid.per_cell, 1);
        assert_eq!(grid.cells, [Some(0), None, None, Some(1)]);
        let lines: Vec<String> = grid
            .lines(3)
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        assert_eq!(lines, ["       0 A..", "       3 B"]);
    }

    #[test]
    fn the_owner_of_most_has_the_cell() {
        let grid = Grid::new(10, 4, [(0..2, Some(0)), (2..9, Some(1)), (9..10, Some(2))]);
        assert_eq!(grid.per_cell, 3);
        assert_eq!(grid.cells, [Some(0), Some(1), Some(1), Some(2)]);
    }

    #[test]
    fn every_size_fits_its_room() {
        for size in [1, 7, 1_024, 1_048_575, 1_048_576] {
            for room in [0, 1, 3, 1_000] {
                let grid = Grid::new(size, room, [(0..size, Some(0))]);
                assert!(grid.cells.len() <= room.max(1) as usize, "{size} in {room}");
                assert!(grid.cells.iter().all(|cell| *cell == Some(0)));
            }
        }
    }
}
