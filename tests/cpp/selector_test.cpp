// Selecting the best windows.

#include "support.hpp"

#include <limits>
#include <sstream>

using namespace longattn;

namespace {

score scored(double dependency_strength, double distribution_uniformity = -0.1) {
    score made{};
    made.token_count = 100;
    made.dependency_strength = dependency_strength;
    made.distribution_uniformity = distribution_uniformity;
    return made;
}

void add_books(selector &books, int first, int last) {
    for (int number = first; number < last; ++number) {
        books.add("book " + std::to_string(number), "books", scored(number));
    }
}

std::vector<std::string> ids_of(const selection &selection) {
    std::vector<std::string> ids;
    for (const ranked &window : selection) ids.emplace_back(window.id);
    return ids;
}

// All that a selection says, to the last bit.
std::vector<std::string> texts_of(const selection &selection) {
    std::vector<std::string> texts;
    for (const ranked &window : selection) {
        std::ostringstream text;
        text << std::hexfloat << window.id << ' ' << window.category << ' ' << window.rank << ' '
             << window.long_distance_dependency_score << ' ' << window.selected;
        texts.push_back(text.str());
    }
    return texts;
}

} // namespace

TEST(Selector, RanksEachCategory) {
    selector selector;
    add_books(selector, 0, 4);
    selector.add("only", "articles", scored(1));
    EXPECT_EQ(selector.size(), 5U);
    const selection selection = selector.finish({{"count", "2"}});
    EXPECT_EQ(ids_of(selection), (std::vector<std::string>{"only", "book 3", "book 2", "book 1", "book 0"}));
    EXPECT_EQ(selection[0].category, "articles");
    EXPECT_EQ(selection[1].rank, 0U);
    EXPECT_EQ(selection[2].rank, 1U);
    EXPECT_TRUE(selection[2].selected);
    EXPECT_FALSE(selection[3].selected);
    EXPECT_EQ(selection[1].token_count, 100U);
    EXPECT_EQ(selection[1].dependency_strength, 3);
    EXPECT_EQ(selection[1].distribution_uniformity, -0.1);
    EXPECT_GT(selection[1].long_distance_dependency_score, selection[2].long_distance_dependency_score);
    EXPECT_ERROR(invalid_argument, "5", selection[5]);
}

TEST(Selector, GivesTheSameMergedInAnyOrder) {
    selector whole, first, second;
    add_books(whole, 0, 10);
    add_books(first, 0, 5);
    add_books(second, 5, 10);
    second.merge(first);
    EXPECT_TRUE(first.empty());
    EXPECT_EQ(second.size(), 10U);
    EXPECT_EQ(texts_of(second.finish()), texts_of(whole.finish()));
    first.merge(std::move(second));
    EXPECT_TRUE(second.empty());
    EXPECT_EQ(texts_of(first.finish()), texts_of(whole.finish()));
    first.add("more", "books", scored(1));
    EXPECT_EQ(first.size(), 11U);
    EXPECT_ERROR(invalid_argument, "", first.merge(first));
}

TEST(Selector, KeepsEveryBitAsJson) {
    selector selector;
    selector.add("a \"quoted\" \xc3\xa9", "third", scored(1.0 / 3, -0.1 / 3));
    selector.add("b", "third", scored(0.1 + 0.2, -5e-324));
    const std::string json = selector.to_json();
    const longattn::selector again = longattn::selector::from_json(json);
    EXPECT_EQ(again.to_json(), json);
    EXPECT_EQ(again.finish()[0].dependency_strength, selector.finish()[0].dependency_strength);
    EXPECT_ERROR(invalid_record, "", longattn::selector::from_json("{"));
    EXPECT_ERROR(invalid_record, "", longattn::selector::from_json(""));
    EXPECT_ERROR(invalid_utf8, "", longattn::selector::from_json("\xff"));
}

TEST(Selector, RefusesWhatCannotBeRanked) {
    selector selector;
    EXPECT_ERROR(non_finite, "", selector.add("a", "b", scored(std::numeric_limits<double>::quiet_NaN())));
    EXPECT_ERROR(invalid_utf8, "", selector.add("\xff", "b", scored(1)));
    EXPECT_TRUE(selector.empty());
    EXPECT_TRUE(selector.finish().empty());
    EXPECT_ERROR(invalid_setting, "only one of", selector.finish({{"count", "1"}, {"ratio", "0.5"}}));
    selector.add("twice", "b", scored(1));
    selector.add("twice", "b", scored(2));
    EXPECT_ERROR(invalid_argument, "twice", selector.finish());
}

TEST(Selector, TakesNothingOnceMovedFrom) {
    selector first;
    add_books(first, 0, 3);
    selector second = std::move(first);
    EXPECT_EQ(second.size(), 3U);
    EXPECT_TRUE(first.empty());
    EXPECT_ERROR(invalid_argument, "selector is NULL", first.add("a", "b", scored(1)));
    EXPECT_ERROR(invalid_argument, "", first.finish());
    first = std::move(second);
    EXPECT_EQ(first.size(), 3U);
}

TEST(Selection, OutlivesTheSelector) {
    selection selection = [] {
        selector selector;
        add_books(selector, 0, 3);
        return selector.finish();
    }();
    const longattn::selection moved = std::move(selection);
    EXPECT_EQ(moved[0].id, "book 2");
    EXPECT_TRUE(selection.empty());
}
