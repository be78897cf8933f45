// Log messages.

#include "support.hpp"

#include <memory>
#include <mutex>

using namespace longattn;

namespace {

// The tiny packages know 64 positions, so that a longer window is worth a warning.
void cause_warning() { scorer(query_key_package).score(random_text(70, 1)); }

struct kept_messages {
    std::mutex mutex;
    std::vector<std::string> messages;

    void keep(std::string_view message) {
        const std::lock_guard<std::mutex> lock(mutex);
        messages.emplace_back(message);
    }
};

} // namespace

TEST(Log, GoesToTheFunctionThatWasSetLast) {
    const auto first = std::make_shared<kept_messages>(), second = std::make_shared<kept_messages>();
    set_log([first](log_level, std::string_view message) { first->keep(message); }, log_level::warn);
    cause_warning();
    ASSERT_EQ(first->messages.size(), 1U);
    EXPECT_NE(first->messages[0].find("64 positions"), std::string::npos);

    set_log([second](log_level, std::string_view message) { second->keep(message); }, log_level::warn);
    EXPECT_EQ(first.use_count(), 1);
    cause_warning();
    EXPECT_EQ(first->messages.size(), 1U);
    EXPECT_EQ(second->messages.size(), 1U);

    set_log(nullptr);
    EXPECT_EQ(second.use_count(), 1);
    cause_warning();
    EXPECT_EQ(second->messages.size(), 1U);
}

TEST(Log, TellsLevelsAndDropsThoseAbove) {
    std::vector<log_level> levels;
    set_log([&](log_level level, std::string_view) { levels.push_back(level); }, log_level::warn);
    cause_warning();
    EXPECT_EQ(levels, std::vector<log_level>{log_level::warn});
    set_log([&](log_level level, std::string_view) { levels.push_back(level); }, log_level::error);
    cause_warning();
    EXPECT_EQ(levels.size(), 1U);
    set_log(nullptr);
}

TEST(Log, SurvivesWhatItsFunctionThrows) {
    int calls = 0;
    set_log([&](log_level, std::string_view) {
        ++calls;
        throw std::runtime_error("nobody listens");
    });
    cause_warning();
    EXPECT_GE(calls, 1);
    set_log(nullptr);
}

TEST(Log, RefusesALevelThatThereIsNotAndKeepsTheFunction) {
    const auto kept = std::make_shared<kept_messages>();
    set_log([kept](log_level, std::string_view message) { kept->keep(message); }, log_level::warn);
    EXPECT_ERROR(invalid_argument, "no log level 6", set_log([](log_level, std::string_view) {}, log_level(6)));
    cause_warning();
    EXPECT_EQ(kept->messages.size(), 1U);
    set_log(nullptr);
}
