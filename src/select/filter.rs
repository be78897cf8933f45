//! Floors and ceilings on the columns of scores.

use std::fmt;
use std::str::FromStr;

/// Conditions on the columns of a window's scores, all of which must hold, such as `compression_ratio between 0.2 and 0.6` or
/// `token_count >= 8000 and dependency_strength > 0.1`.
///
/// ```
/// use longattn::select::{Filter, NoFilter};
///
/// let filter: Filter = "compression_ratio between 0.2 and 0.6".parse()?;
/// let holds = |value: Option<f64>| filter.holds(|_| Ok::<_, NoFilter>(value));
/// assert_eq!((holds(Some(0.3))?, holds(Some(0.7))?, holds(None)?), (Some(true), Some(false), None));
/// # Ok::<(), NoFilter>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(Vec<Condition>);

/// A text that is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a filter is COLUMN between A and B, or COLUMN >= A, with >=, <=, >, < or ==, and several joined by `and`")]
pub struct NoFilter;

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    column: String,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Test {
    /// Both ends included.
    Between(f64, f64),
    AtLeast(f64),
    AtMost(f64),
    Above(f64),
    Below(f64),
    Equal(f64),
}

impl Test {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Between(least, most) => (least..=most).contains(&value),
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Above(bound) => value > bound,
            Self::Below(bound) => value < bound,
            Self::Equal(number) => value == number,
        }
    }
}

impl Filter {
    /// Whether it holds for a window whose columns are given; none where one of them has no number.
    ///
    /// # Errors
    /// Those of `column`.
    pub fn holds<E>(&self, mut column: impl FnMut(&str) -> Result<Option<f64>, E>) -> Result<Option<bool>, E> {
        let mut holds = true;
        for Condition { column: name, test } in &self.0 {
            let Some(value) = column(name)? else { return Ok(None) };
            holds &= test.holds(value);
        }
        Ok(Some(holds))
    }

    /// The columns that it asks for.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|condition| condition.column.as_str())
    }

    /// Whether it has no condition.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Filter {
    type Err = NoFilter;

    fn from_str(text: &str) -> Result<Self, NoFilter> {
        let mut words = words(text).into_iter();
        let mut conditions = Vec::new();
        loop {
            let column = words.next().filter(|word| is_name(word)).ok_or(NoFilter)?;
            let operator = words.next().ok_or(NoFilter)?;
            let mut number = || words.next()?.parse().ok().filter(|number: &f64| number.is_finite());
            let first = number().ok_or(NoFilter)?;
            let test = match operator.as_str() {
                ">=" => Test::AtLeast(first),
                "<=" => Test::AtMost(first),
                ">" => Test::Above(first),
                "<" => Test::Below(first),
                "==" | "=" => Test::Equal(first),
                "between" => {
                    words.next().filter(|word| word == AND).ok_or(NoFilter)?;
                    let second = words.next().and_then(|word| word.parse().ok()).ok_or(NoFilter)?;
                    Some(Test::Between(first, second)).filter(|_| first <= second).ok_or(NoFilter)?
                }
                _ => return Err(NoFilter),
            };
            conditions.push(Condition { column, test });
            match words.next() {
                None => return Ok(Self(conditions)),
                Some(word) if word == AND => {}
                Some(_) => return Err(NoFilter),
            }
        }
    }
}

const AND: &str = "and";

fn is_operator(character: char) -> bool {
    matches!(character, '<' | '>' | '=')
}

/// The words of a text, operators being words of their own whether or not there is space around them.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for character in text.chars() {
        let goes_on = !before.is_whitespace() && is_operator(before) == is_operator(character);
        match words.last_mut() {
            _ if character.is_whitespace() => {}
            Some(word) if goes_on => word.push(character),
            _ => words.push(character.to_string()),
        }
        before = character;
    }
    words
}

fn is_name(word: &str) -> bool {
    word != AND && word.parse::<f64>().is_err() && !word.chars().any(is_operator)
}

impl fmt::Display for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Condition { column, test }) in self.0.iter().enumerate() {
            formatter.write_str(if place > 0 { " and " } else { "" })?;
            match test {
                Test::Between(least, most) => write!(formatter, "{column} between {least} and {most}"),
                Test::AtLeast(least) => write!(formatter, "{column} >= {least}"),
                Test::AtMost(most) => write!(formatter, "{column} <= {most}"),
                Test::Above(bound) => write!(formatter, "{column} > {bound}"),
                Test::Below(bound) => write!(formatter, "{column} < {bound}"),
                Test::Equal(number) => write!(formatter, "{column} == {number}"),
            }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(filter: &str, value: f64) -> bool {
        let column = |column: &str| Ok::<_, NoFilter>((column == "x").then_some(value));
        filter.parse::<Filter>().unwrap().holds(column).unwrap().unwrap()
    }

    #[test]
    fn floors_and_ceilings() {
        for (filter, inside, outside) in [
            ("x between 0.2 and 0.6", 0.6, 0.61),
            ("x>=0.2", 0.2, 0.19),
            ("x <=0.2", 0.2, 0.21),
            ("x> -1e-3", 0.0, -1e-3),
            ("x < 5", 4.9, 5.0),
            ("x == 7", 7.0, 7.1),
            ("x >= 1 and x between 0 and 2 and x < 2", 1.5, 2.0),
        ] {
            assert!(holds(filter, inside) && !holds(filter, outside), "{filter}");
        }
    }

    #[test]
    fn a_filter_is_read_as_it_is_written() {
        for text in ["a between -0.5 and 0.25 and b >= 3", "a.b <= 1", "a > 1 and a < 2 and c == 0.001"] {
            assert_eq!(text.parse::<Filter>().unwrap().to_string(), text);
        }
        let words =
            ["", "x", "x >", "x > y", "x between 1", "x between 2 and 1", "x > 1 and", "x > 1 x", "1 > 2", "x => 1"];
        for wrong in words.into_iter().chain(["x > NaN", "and > 1", "x between 1 and NaN"]) {
            assert_eq!(wrong.parse::<Filter>(), Err(NoFilter), "{wrong}");
        }
    }

    #[test]
    fn what_has_no_number_is_told() {
        let filter: Filter = "x > 1 and y > 1".parse().unwrap();
        assert_eq!(filter.columns().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(filter.holds(|column| Ok::<_, NoFilter>((column == "x").then_some(0.0))), Ok(None));
    }
}
