// Version, settings, errors and handles.

#include "support.hpp"

#include <algorithm>
#include <type_traits>

using namespace longattn;

static_assert(std::is_base_of_v<std::runtime_error, error>);
static_assert(std::is_copy_constructible_v<config> && std::is_copy_assignable_v<config>);
static_assert(std::is_copy_constructible_v<cancel> && std::is_copy_assignable_v<cancel>);
static_assert(std::is_copy_constructible_v<scorer> && std::is_copy_assignable_v<scorer>);
static_assert(!std::is_copy_constructible_v<tokens> && std::is_nothrow_move_constructible_v<tokens>);
static_assert(!std::is_copy_constructible_v<windows> && std::is_nothrow_move_assignable_v<windows>);
static_assert(!std::is_copy_constructible_v<selector> && std::is_nothrow_move_constructible_v<selector>);
static_assert(!std::is_copy_constructible_v<selection> && std::is_nothrow_move_assignable_v<selection>);

TEST(Version, IsThatOfTheHeader) {
    EXPECT_EQ(std::count(version().begin(), version().end(), '.'), 2);
    EXPECT_EQ(abi_version(), std::uint32_t(LONGATTN_ABI_VERSION));
}

TEST(Settings, AreListedWithTheirDefaults) {
    const auto rows = settings();
    EXPECT_EQ(rows.size(), longattn_setting_count());
    EXPECT_EQ(rows.front().key, "window");
    EXPECT_EQ(rows.front().placeholder, "TOKENS");
    for (const setting &row : rows) {
        EXPECT_EQ(config().get(row.key), row.default_value);
        EXPECT_FALSE(row.valid.empty());
        EXPECT_FALSE(row.help.empty());
    }
}

TEST(Config, IsSetAndRead) {
    config settings{{"window", "8192"}, {"alpha", "0.25"}};
    EXPECT_EQ(settings.get("window"), "8192");
    EXPECT_EQ(settings.set("window", "64").set("standardize", "min-max").get("window"), "64");
    EXPECT_EQ(settings.get("standardize"), "min-max");
}

TEST(Config, CopiesAreIndependent) {
    config first{{"window", "100"}};
    config second = first;
    second.set("window", "200");
    EXPECT_EQ(first.get("window"), "100");
    first = second;
    second.set("window", "300");
    EXPECT_EQ(first.get("window"), "200");
    const config moved = std::move(first);
    EXPECT_EQ(moved.get("window"), "200");
    config &itself = second;
    second = itself;
    EXPECT_EQ(second.get("window"), "300");
}

TEST(Config, RefusesWhatIsNotValidAndStaysAsItWas) {
    config settings;
    EXPECT_ERROR(invalid_setting, "the settings are window", settings.set("windows", "1"));
    EXPECT_ERROR(invalid_setting, "a whole number from 1", settings.set("window", "none"));
    EXPECT_ERROR(invalid_setting, "the settings are window", settings.get(""));
    EXPECT_ERROR(invalid_utf8, "key", settings.set("\xff", "1"));
    EXPECT_ERROR(invalid_setting, "window", config({{"window", "0"}}));
    EXPECT_EQ(settings.get("window"), config().get("window"));
}

TEST(Config, TakesViewsThatEndAnywhere) {
    const std::string_view line = "window=128,alpha";
    EXPECT_EQ(config().set(line.substr(0, 6), line.substr(7, 3)).get("window"), "128");
}

TEST(Error, IsCaughtAsTheStandardOne) {
    try {
        config().set("no such setting", "");
        FAIL();
    } catch (const std::exception &failure) {
        EXPECT_NE(std::string(failure.what()).find("no such setting"), std::string::npos);
    }
    const error made(status::internal, "words");
    EXPECT_EQ(made.status(), status::internal);
    EXPECT_STREQ(made.what(), "words");
}

TEST(Cancel, CopiesAreTheSameOne) {
    const cancel first;
    const cancel second = first;
    cancel moved = std::move(second);
    EXPECT_FALSE(first.is_requested());
    moved.request();
    EXPECT_TRUE(first.is_requested());
    EXPECT_TRUE(second.is_requested());
    moved = cancel();
    EXPECT_FALSE(moved.is_requested());
    EXPECT_NE(first.native_handle(), moved.native_handle());
}

TEST(Span, IsMadeOfArrays) {
    int array[] = {1, 2, 3};
    const std::vector<int> vector{4, 5};
    EXPECT_EQ(span<int>(array).size(), 3U);
    EXPECT_EQ(span<const int>(vector)[1], 5);
    EXPECT_TRUE(span<const int>().empty());
    EXPECT_EQ(span<const int>(array).data(), array);
    static_assert(!std::is_convertible_v<const std::vector<int> &, span<int>>);
    static_assert(!std::is_convertible_v<std::string, span<const token_id>>);
}
