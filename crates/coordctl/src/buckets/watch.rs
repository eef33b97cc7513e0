//! A group, live: the map of its buckets with what changed since the last look, and its members.

use std::process::ExitCode;

use ratatui::{
    Frame,
    crossterm::event::KeyCode,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Table, TableState},
};
use serde_json::Value;

use super::group::{Group, HEADINGS, Reader, state};
use crate::{
    cli::{Global, WatchGroupOptions},
    failure::Failure,
    live::{
        self, Screen,
        columns::{self, Narrow},
    },
    picture::{self, Grid},
};

pub(crate) async fn run(global: &Global, options: &WatchGroupOptions) -> Result<ExitCode, Failure> {
    let mut buckets = Buckets {
        reader: Reader::new(global, &options.group)?,
        view: View::default(),
    };
    live::run(global, &options.watch, &mut buckets).await
}

struct Buckets {
    reader: Reader,
    view: View,
}

#[derive(Default)]
struct View {
    group: Option<Group>,
    before: Option<Group>,
    members: TableState,
    only_members: bool,
}

impl Screen for Buckets {
    async fn refresh(&mut self) -> Result<(), Failure> {
        let group = self.reader.read().await?;
        self.view.take(group);
        Ok(())
    }

    fn json(&self) -> Value {
        self.view.group.as_ref().map_or(Value::Null, Group::json)
    }

    fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) {
        self.view.draw(frame, area);
    }

    fn press(&mut self, key: KeyCode) {
        self.view.press(key);
    }

    fn keys(&self) -> &'static [(&'static str, &'static str)] {
        KEYS
    }
}

const KEYS: &[(&str, &str)] = &[("↑↓", "move"), ("m", "map or members only")];

impl View {
    fn take(&mut self, group: Group) {
        self.before = self.group.replace(group);
    }

    fn press(&mut self, key: KeyCode) {
        match key {
            KeyCode::Up | KeyCode::Char('k') => self.members.select_previous(),
            KeyCode::Down | KeyCode::Char('j') => self.members.select_next(),
            KeyCode::Char('m') => self.only_members = !self.only_members,
            _ => {}
        }
    }

    fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let Some(group) = &self.group else {
            return;
        };
        let count = u16::try_from(group.read.members.len()).unwrap_or(u16::MAX);
        let members_height = match self.only_members {
            true => Constraint::Min(1),
            false => Constraint::Length((count + 1).min(area.height / 2)),
        };
        let map_height = if self.only_members { 0 } else { 1 };
        let parts = Layout::vertical([
            Constraint::Length(1),
            members_height,
            Constraint::Length(map_height),
            Constraint::Fill(map_height),
        ]);
        let [top, members, legend, map] = parts.areas(area);
        let headline = anstream::adapter::strip_str(&group.headline()).to_string();
        frame.render_widget(Line::styled(headline, Modifier::BOLD), top);
        let (table, note) = (member_table(group, members.width), map_note(group, map));
        frame.render_stateful_widget(table, members, &mut self.members);
        if !self.only_members {
            frame.render_widget(Line::styled(note, Modifier::DIM), legend);
            draw_map(frame, map, group, self.before.as_ref());
        }
    }
}

fn member_table(group: &Group, room: u16) -> Table<'static> {
    let rows = group.read.members.iter().map(|member| {
        let place = Group::place(member.number);
        let mut cells: Vec<Span<'static>> = group
            .row(member)
            .into_iter()
            .map(|cell| cell.text.into())
            .collect();
        if let Some(letter) = cells.first_mut() {
            letter.style = owner_style(Some(place));
        }
        let style = Style::new().fg(picture::terminal_color(state(member).1));
        (cells, style)
    });
    columns::table(&HEADINGS, rows.collect(), NARROW, room)
}

/// When they joined goes first, then weight, moves and lease, what they should have, and how they are.
const NARROW: Narrow = Narrow {
    name: 1,
    going: &[7, 5, 4, 6, 3, 8],
};

fn grid_of(group: &Group, area: Rect) -> Grid {
    let room = u32::from(area.width.saturating_sub(MARGIN)) * u32::from(area.height);
    group.grid(room)
}

fn map_note(group: &Group, area: Rect) -> String {
    match grid_of(group, area).per_cell {
        1 => {
            "one cell for each bucket; those that moved since the last look are reversed".to_owned()
        }
        n => format!("one cell for {n} buckets; those that moved since the last look are reversed"),
    }
}

fn draw_map(frame: &mut Frame<'_>, area: Rect, group: &Group, before: Option<&Group>) {
    let width = usize::from(area.width.saturating_sub(MARGIN)).max(1);
    let grid = grid_of(group, area);
    let before = before
        .map(|before| grid_of(before, area))
        .filter(|before| before.per_cell == grid.per_cell);
    let has_moved = |at: usize| {
        before
            .as_ref()
            .is_some_and(|before| before.cells.get(at) != grid.cells.get(at))
    };
    let rows = grid.cells.chunks(width).zip(area.rows()).enumerate();
    for (row, (cells, line_area)) in rows {
        let first = (row * width) as u64 * u64::from(grid.per_cell);
        let mut spans = vec![Span::styled(format!("{first:>8} "), Modifier::DIM)];
        for (column, &owner) in cells.iter().enumerate() {
            let mut style = owner_style(owner);
            if has_moved(row * width + column) {
                style = style.add_modifier(Modifier::REVERSED);
            }
            spans.push(Span::styled(Grid::letter(owner).to_string(), style));
        }
        frame.render_widget(Line::from(spans), line_area);
    }
}

fn owner_style(owner: Option<usize>) -> Style {
    match owner {
        Some(owner) => Style::new().fg(Color::Indexed(picture::color(owner).0)),
        None => Style::new().fg(Color::Indexed(8)),
    }
}

/// The number before each line of the map.
const MARGIN: u16 = 9;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use redbuckets::{Instance, Redbuckets};

    use super::*;
    use crate::live::testing::rows;

    fn group(id: &str) -> Redbuckets {
        Redbuckets::builder("memory://watch-buckets", "orders")
            .buckets(16)
            .settle(Duration::ZERO)
            .period(Duration::from_millis(50))
            .ttl(Duration::from_secs(5))
            .instance_id(id)
            .build()
            .expect("valid")
    }

    async fn wait_for(instance: &Instance, count: usize) {
        for _ in 0..2_000 {
            if instance.owned().ids().count() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} does not own {count} buckets", instance.id());
    }

    #[tokio::test]
    async fn the_map_shows_owners_and_what_moved() {
        let first = group("alpha").join().await.expect("it joins");
        wait_for(&first, 16).await;
        let mut buckets = Buckets {
            reader: Reader::of("orders", &group("x")).expect("a thread"),
            view: View::default(),
        };
        buckets.refresh().await.expect("it answers");
        let shown = rows(&mut buckets, 110, 12);
        assert!(
            shown[0].starts_with("group orders: 16 buckets, sticky, 1 member;"),
            "{shown:#?}"
        );
        assert!(shown[2].starts_with("A  alpha"), "{shown:#?}");
        assert_eq!(shown[4], "       0 AAAAAAAAAAAAAAAA", "{shown:#?}");
        for (width, height) in [(1, 1), (12, 3), (40, 5), (300, 60)] {
            assert_eq!(rows(&mut buckets, width, height).len(), usize::from(height));
        }

        let narrow = rows(&mut buckets, 24, 12);
        assert_eq!(narrow[1], "   MEMBER  OWNED  STATE", "{narrow:#?}");
        assert_eq!(narrow[2], "A  alpha   16     member", "{narrow:#?}");
        assert!(narrow[11].starts_with(" q  quit"), "{narrow:#?}");

        let second = group("beta").join().await.expect("it joins");
        wait_for(&second, 8).await;
        wait_for(&first, 8).await;
        buckets.refresh().await.expect("it answers");
        let shown = rows(&mut buckets, 110, 12);
        let map = &shown[5];
        let count = |letter| map.matches(letter).count();
        assert_eq!((count('A'), count('B')), (8, 8), "{shown:#?}");
        let json = buckets.json();
        assert_eq!(json["members"][1]["owned"], 8, "{json}");
        assert_eq!(json["free"], 0);

        buckets.press(KeyCode::Char('m'));
        let shown = rows(&mut buckets, 110, 12);
        assert!(!shown.iter().any(|row| row.contains("AAAA")), "{shown:#?}");
        first.leave().await.expect("nothing is worked in");
        second.leave().await.expect("nothing is worked in");
    }
}
