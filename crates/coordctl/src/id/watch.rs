//! The machine IDs of a namespace, live.

use std::process::ExitCode;

use ratatui::{
    Frame,
    crossterm::event::KeyCode,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::Line,
    widgets::TableState,
};
use serde_json::Value;

use super::list::{HEADINGS, Namespace, Reader, state_style};
use crate::{
    cli::{Global, WatchIdsOptions},
    failure::Failure,
    live::{
        self, Screen,
        columns::{self, Narrow},
    },
    picture,
};

pub(crate) async fn run(global: &Global, options: &WatchIdsOptions) -> Result<ExitCode, Failure> {
    let mut ids = Ids {
        reader: Reader::new(global, &options.list.range.range)?,
        view: View {
            namespace: None,
            all: options.list.all,
            table: TableState::new().with_selected(0),
        },
    };
    live::run(global, &options.watch, &mut ids).await
}

struct Ids {
    reader: Reader,
    view: View,
}

struct View {
    namespace: Option<Namespace>,
    all: bool,
    table: TableState,
}

impl Screen for Ids {
    async fn refresh(&mut self) -> Result<(), Failure> {
        self.view.namespace = Some(self.reader.read().await?);
        Ok(())
    }

    fn json(&self) -> Value {
        let namespace = self.view.namespace.as_ref();
        namespace.map_or(Value::Null, |namespace| namespace.json(self.view.all))
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

const KEYS: &[(&str, &str)] = &[("↑↓", "move"), ("a", "all or held")];

impl View {
    fn press(&mut self, key: KeyCode) {
        match key {
            KeyCode::Up | KeyCode::Char('k') => self.table.select_previous(),
            KeyCode::Down | KeyCode::Char('j') => self.table.select_next(),
            KeyCode::PageUp => self.table.scroll_up_by(10),
            KeyCode::PageDown => self.table.scroll_down_by(10),
            KeyCode::Char('a') => self.all = !self.all,
            _ => {}
        }
    }

    fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let Some(namespace) = &self.namespace else {
            return;
        };
        let headline = anstream::adapter::strip_str(&namespace.headline()).to_string();
        let note = namespace.note();
        let parts = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(u16::from(note.is_some())),
        ]);
        let [top, middle, bottom] = parts.areas(area);
        frame.render_widget(Line::styled(headline, Modifier::BOLD), top);
        let rows = namespace.shown(self.all).map(|slot| {
            let cells = namespace.row(slot).into_iter().map(|cell| cell.text.into());
            let style = Style::new().fg(picture::terminal_color(state_style(slot.state())));
            (cells.collect(), style)
        });
        let table = columns::table(&HEADINGS, rows.collect(), NARROW, middle.width);
        frame.render_stateful_widget(table, middle, &mut self.table);
        if let Some(note) = note {
            frame.render_widget(Line::styled(note, Modifier::DIM), bottom);
        }
    }
}

/// The holder goes first, then its fence and horizon, what is left of its lease, and its state.
const NARROW: Narrow = Narrow {
    name: 2,
    going: &[6, 5, 4, 3, 1],
};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raus::Raus;

    use super::*;
    use crate::live::testing::rows;

    fn ids(raus: &Raus) -> Ids {
        Ids {
            reader: Reader::of(raus).expect("a thread"),
            view: View {
                namespace: None,
                all: false,
                table: TableState::new().with_selected(0),
            },
        }
    }

    #[tokio::test]
    async fn holders_are_shown_and_free_machine_ids_on_demand() {
        let raus = Raus::builder("memory://watch-ids", 0..=9)
            .label("payments")
            .discovery(Duration::ZERO)
            .build()
            .expect("valid");
        let machine_id = raus.acquire().await.expect("free");
        let id = machine_id.id().to_string();
        let mut ids = ids(&raus);
        assert_eq!(rows(&mut ids, 80, 3)[0], "", "nothing was read yet");
        ids.refresh().await.expect("it answers");

        let shown = rows(&mut ids, 120, 8);
        assert!(
            shown[0].contains("1 of 10 held; history known"),
            "{shown:#?}"
        );
        assert!(shown[1].contains("TTL LEFT"), "{shown:#?}");
        assert!(
            shown[2].starts_with(&id) && shown[2].contains("held") && shown[2].contains("payments"),
            "{shown:#?}"
        );
        assert!(shown[7].contains("q  quit"), "{shown:#?}");
        let narrow = rows(&mut ids, 25, 8);
        assert!(narrow[1].ends_with("STATE  LABEL"), "{narrow:#?}");
        assert!(narrow[2].ends_with("held   payments"), "{narrow:#?}");
        // A window of any size is drawn.
        for (width, height) in [(1, 1), (10, 2), (40, 5), (300, 60)] {
            assert_eq!(rows(&mut ids, width, height).len(), usize::from(height));
        }

        machine_id.release().await.expect("it answers");
        ids.refresh().await.expect("it answers");
        let has_label =
            |ids: &mut Ids| rows(ids, 120, 8).iter().any(|row| row.contains("payments"));
        assert!(!has_label(&mut ids));
        ids.press(KeyCode::Char('a'));
        assert!(has_label(&mut ids));
        assert_eq!(ids.json()["slots"][0]["state"], "free");
    }

    #[test]
    fn the_selection_stays_within_the_table() {
        let raus = Raus::new("memory://watch-keys", 0..=9).expect("valid");
        let mut ids = ids(&raus);
        for key in [
            KeyCode::Up,
            KeyCode::PageDown,
            KeyCode::PageUp,
            KeyCode::Down,
            KeyCode::Char('x'),
        ] {
            ids.press(key);
            assert_eq!(rows(&mut ids, 20, 4).len(), 4);
        }
    }
}
