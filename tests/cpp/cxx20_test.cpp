// Compiled as C++20 into the same program: the header is the same there, and works with std::span.

#include "support.hpp"

#include <ranges>
#include <span>

using namespace longattn;

static_assert(std::input_iterator<windows::iterator> && std::input_iterator<selection::iterator>);
static_assert(std::ranges::input_range<windows> && std::ranges::contiguous_range<span<const token_id>>);

TEST(Cxx20, SpansAreMadeOfEachOther) {
    const std::vector<token_id> ids = {1, 2, 3};
    const std::span<const token_id> standard = ids;
    const span<const token_id> own = standard;
    const std::span<const token_id> again = own;
    EXPECT_EQ(own.data(), ids.data());
    EXPECT_EQ(again.size(), 3U);
    EXPECT_EQ(scorer(query_key_package).score(standard).token_count, 3U);
}

TEST(Cxx20, WindowsAreARange) {
    const windows windows(scorer(query_key_package).tokenize("abcdefghij"), 4);
    const auto later = [](const window &window) { return window.token_start > 0; };
    EXPECT_EQ(std::ranges::distance(windows | std::views::filter(later)), 2);
}
