// The cases that the tests of every language read, and agree with to the bit.

#include "support.hpp"

#include <fstream>
#include <sstream>

using namespace longattn;

namespace {

using row = std::vector<std::string>;

row split(const std::string &line) {
    std::istringstream fields(line + '\t');
    row found;
    for (std::string field; std::getline(fields, field, '\t');) found.push_back(field);
    return found;
}

// The rows of a file of lines of fields; what begins with # is a comment.
std::vector<row> read(const std::string &path) {
    std::ifstream file(path);
    std::vector<row> rows;
    for (std::string line; std::getline(file, line);) {
        if (line.rfind('#', 0) != 0) rows.push_back(split(line));
    }
    EXPECT_FALSE(rows.empty()) << path << ": run make cases";
    return rows;
}

template <class Number>
std::vector<Number> numbers_of(const std::string &text) {
    std::istringstream numbers(text);
    return {std::istream_iterator<Number>(numbers), {}};
}

// Settings such as "window=60 alpha=0".
config config_of(const std::string &settings) {
    config made;
    for (const std::string &setting : numbers_of<std::string>(settings)) {
        const std::size_t equals = setting.find('=');
        made.set(setting.substr(0, equals), setting.substr(equals + 1));
    }
    return made;
}

score scored(const std::string &tokens, const std::string &dependency_strength,
             const std::string &distribution_uniformity) {
    score made{};
    made.token_count = std::stoull(tokens);
    made.dependency_strength = std::stod(dependency_strength);
    made.distribution_uniformity = std::stod(distribution_uniformity);
    return made;
}

std::string bytes_of(const std::string &hexadecimal) {
    std::string bytes;
    for (std::size_t place = 0; place < hexadecimal.size(); place += 2) {
        bytes.push_back(static_cast<char>(std::stoi(hexadecimal.substr(place, 2), nullptr, 16)));
    }
    return bytes;
}

void fail(const std::string &call, const std::string &package, const std::string &settings,
          const std::string &argument) {
    if (call == "set") return void(config_of(settings));
    if (call == "from_json") return void(selector::from_json(argument));
    selector windows;
    if (call == "add") {
        const auto scores = numbers_of<std::string>(argument);
        return windows.add("a", "books", scored("100", scores.at(0), scores.at(1)));
    }
    if (call == "finish") {
        for (const auto &id : numbers_of<std::string>(argument)) windows.add(id, "books", scored("100", "0.1", "-0.1"));
        return void(windows.finish(config_of(settings)));
    }
    const scorer scorer(package, config_of(settings));
    if (call == "open") return;
    cancel stop;
    if (call == "score_cancelled") stop.request();
    if (call == "score_tokens") scorer.score(numbers_of<token_id>(argument), stop);
    else scorer.score(call == "score_bytes" ? bytes_of(argument) : argument, stop);
}

} // namespace

TEST(Cases, OfScores) {
    for (const row &row : read("target/cases/scores.tsv")) {
        const scorer scorer(row.at(0), config_of(row.at(1)));
        const score score = row.at(2) == "text" ? scorer.score(row.at(3)) : scorer.score(numbers_of<token_id>(row.at(3)));
        const std::uint64_t counts[] = {score.token_count, score.min_distance, score.sink_tokens, score.head_count,
                                        score.rows};
        const double values[] = {score.dependency_strength, score.distribution_uniformity,
                                 score.dependency_strength_error, score.distribution_uniformity_error};
        for (std::size_t place = 0; place < 5; ++place) EXPECT_EQ(counts[place], std::stoull(row.at(4 + place)));
        for (std::size_t place = 0; place < 4; ++place) EXPECT_EQ(values[place], std::stod(row.at(9 + place)));
        if (!row.at(13).empty()) {
            const profiled_score profiled = row.at(2) == "text" ? scorer.score_profile(row.at(3))
                                                                : scorer.score_profile(numbers_of<token_id>(row.at(3)));
            EXPECT_TRUE(same_bits(profiled.score, score));
            EXPECT_EQ(profiled.distance_profile, numbers_of<double>(row.at(13)));
        }
    }
}

TEST(Cases, OfWindows) {
    const scorer scorer(query_key_package);
    for (const row &row : read("tests/data/cases/windows.tsv")) {
        const std::size_t length = std::stoull(row.at(0));
        const windows windows(scorer.tokenize(random_text(std::stoull(row.at(1)), 1)), length);
        std::vector<std::size_t> starts;
        for (const window &window : windows) {
            starts.push_back(window.token_start);
            EXPECT_EQ(window.ids.size(), length);
            EXPECT_EQ(window.byte_start, window.token_start);
            EXPECT_EQ(window.byte_end, window.token_start + length);
        }
        EXPECT_EQ(starts, numbers_of<std::size_t>(row.at(2)));
    }
}

TEST(Cases, OfSelections) {
    const auto rows = read("tests/data/cases/selection.tsv");
    for (auto first = rows.begin(), end = first; first != rows.end(); first = end) {
        selector windows;
        for (; end != rows.end() && end->at(0) == first->at(0); ++end) {
            windows.add(end->at(3), end->at(2), scored(end->at(4), end->at(5), end->at(6)));
        }
        const selection selection = windows.finish(config_of(first->at(1)));
        ASSERT_EQ(selection.size(), std::size_t(end - first));
        for (const ranked &ranked : selection) {
            const row &expected = *first++;
            EXPECT_EQ(ranked.category, expected.at(2));
            EXPECT_EQ(ranked.id, expected.at(3));
            EXPECT_EQ(ranked.token_count, std::stoull(expected.at(4)));
            EXPECT_EQ(ranked.dependency_strength, std::stod(expected.at(5)));
            EXPECT_EQ(ranked.distribution_uniformity, std::stod(expected.at(6)));
            EXPECT_EQ(ranked.rank, std::stoull(expected.at(7)));
            EXPECT_EQ(ranked.long_distance_dependency_score, std::stod(expected.at(8)));
            EXPECT_EQ(ranked.selected, expected.at(9) == "true");
        }
    }
}

TEST(Cases, OfErrors) {
    for (const row &row : read("tests/data/cases/errors.tsv")) {
        SCOPED_TRACE(row.at(1) + ' ' + row.at(2) + ' ' + row.at(3) + ' ' + row.at(4));
        try {
            fail(row.at(1), row.at(2), row.at(3), row.at(4));
            ADD_FAILURE() << "no error";
        } catch (const longattn::error &failure) {
            EXPECT_EQ(static_cast<int>(failure.status()), std::stoi(row.at(0))) << failure.what();
            EXPECT_NE(std::string(failure.what()).find(row.at(5)), std::string::npos) << failure.what();
        }
    }
}
