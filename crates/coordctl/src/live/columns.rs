//! Tables on screens of any width: a column is shown whole or not at all, because half of a number is another number.

use ratatui::{
    layout::Constraint,
    style::{Modifier, Style},
    text::Span,
    widgets::{Row, Table},
};

/// What gives way on a narrow screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Narrow {
    /// The column of names, which may be cut short; it says so.
    pub(crate) name: usize,
    /// The columns that go, the first to go first.
    pub(crate) going: &'static [usize],
}

/// A table of what fits into `room` columns of characters.
pub(crate) fn table(
    headings: &[&'static str],
    rows: Vec<(Vec<Span<'static>>, Style)>,
    narrow: Narrow,
    room: u16,
) -> Table<'static> {
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|(cells, _)| cells.get(column));
        let widest = cells.map(Span::width).max().unwrap_or(0);
        widest.max(headings.get(column).map_or(0, |heading| heading.len()))
    };
    let widths: Vec<usize> = (0..headings.len()).map(width_of).collect();
    let shown = fit(&widths, narrow, usize::from(room));
    let head: Vec<Span<'static>> = headings.iter().map(|&heading| heading.into()).collect();
    let pick = |cells: &[Span<'static>]| {
        let cells = shown.iter().map(|&(column, width)| {
            let cell = cells.get(column).cloned().unwrap_or_default();
            shorten(cell, width)
        });
        Row::new(cells.collect::<Vec<_>>())
    };
    let body: Vec<Row<'static>> = rows
        .iter()
        .map(|(cells, style)| pick(cells).style(*style))
        .collect();
    let length = |&(_, width): &(usize, usize)| u16::try_from(width).unwrap_or(u16::MAX);
    Table::new(
        body,
        shown
            .iter()
            .map(|column| Constraint::Length(length(column))),
    )
    .header(pick(&head).style(Modifier::BOLD))
    .row_highlight_style(Modifier::REVERSED)
    .column_spacing(u16::try_from(SPACING).unwrap_or(1))
}

/// The columns that are shown, each with its width.
fn fit(widths: &[usize], narrow: Narrow, room: usize) -> Vec<(usize, usize)> {
    let mut widths: Vec<(usize, usize)> = widths.iter().copied().enumerate().collect();
    let needed = |widths: &[(usize, usize)], name: usize| -> usize {
        let own =
            |&(column, width): &(usize, usize)| if column == narrow.name { name } else { width };
        let spaces = SPACING * widths.len().saturating_sub(1);
        widths.iter().map(own).sum::<usize>() + spaces
    };
    let natural = widths.get(narrow.name).map_or(0, |&(_, width)| width);
    for &going in narrow.going {
        if needed(&widths, natural.min(SHORTEST_NAME)) <= room {
            break;
        }
        widths.retain(|&(column, _)| column != going);
    }
    let left = room.saturating_sub(needed(&widths, 0));
    for (column, width) in &mut widths {
        if *column == narrow.name {
            *width = natural.min(left.max(1));
        }
    }
    widths
}

fn shorten(cell: Span<'static>, width: usize) -> Span<'static> {
    if cell.width() <= width {
        return cell;
    }
    let kept: String = cell.content.chars().take(width.saturating_sub(1)).collect();
    Span::styled(format!("{kept}…"), cell.style)
}

const SPACING: usize = 2;
/// A name that is cut shorter says little; then columns go.
const SHORTEST_NAME: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Narrow = Narrow {
        name: 1,
        going: &[3, 0],
    };

    #[track_caller]
    fn check(room: usize, expected: &[(usize, usize)]) {
        assert_eq!(fit(&[4, 20, 5, 10], NARROW, room), expected, "{room}");
    }

    #[test]
    fn columns_are_whole_or_gone_and_the_name_has_what_is_left() {
        check(99, &[(0, 4), (1, 20), (2, 5), (3, 10)]);
        check(45, &[(0, 4), (1, 20), (2, 5), (3, 10)]);
        check(44, &[(0, 4), (1, 19), (2, 5), (3, 10)]);
        check(37, &[(0, 4), (1, 12), (2, 5), (3, 10)]);
        check(36, &[(0, 4), (1, 20), (2, 5)]);
        check(24, &[(1, 17), (2, 5)]);
        check(10, &[(1, 3), (2, 5)]);
        check(0, &[(1, 1), (2, 5)]);
    }

    #[test]
    fn what_is_cut_short_says_so() {
        assert_eq!(shorten("payments-1".into(), 5).content, "paym…");
        assert_eq!(shorten("payments-1".into(), 10).content, "payments-1");
        assert_eq!(shorten("ab".into(), 0).content, "…");
    }
}
