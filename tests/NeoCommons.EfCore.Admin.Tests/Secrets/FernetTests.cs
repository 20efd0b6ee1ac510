using System.Buffers.Text;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

public class FernetTests
{
    private static readonly FernetKeys Keys = FernetKeys.Parse("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddYears(50);

    /// <summary>Messages whose tokens end with two, with one and with no padding character.</summary>
    public static TheoryData<int> Lengths => [0, 20, 40];

    [Theory]
    [MemberData(nameof(Lengths))]
    public void A_token_with_another_character_at_any_position_is_refused(int length)
    {
        var token = Fernet.Encrypt(Keys.Primary, new byte[length], Now);
        for (var position = 0; position < token.Length; position++)
        {
            for (var c = '\0'; c < 256; c++)
            {
                if (c == token[position])
                {
                    continue;
                }

                var changed = token.ToCharArray();
                changed[position] = c;
                AssertRefused(changed, $"character {position} changed to {(int)c}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void A_token_with_any_bit_flipped_is_refused_before_it_is_decrypted(int length)
    {
        var bytes = Decode(Fernet.Encrypt(Keys.Primary, new byte[length], Now));
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            var result = Fernet.Decrypt(Keys, Encode(bytes), out _);
            Assert.Equal(bit < 8 ? FernetResult.Malformed : FernetResult.Unverified, result);
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void A_token_cut_at_either_end_is_refused(int length)
    {
        var token = Fernet.Encrypt(Keys.Primary, new byte[length], Now);
        for (var cut = 1; cut <= token.Length; cut++)
        {
            AssertRefused(token.AsSpan(cut), $"{cut} characters cut in front");
            AssertRefused(token.AsSpan(0, token.Length - cut), $"{cut} characters cut at the end");
        }

        var bytes = Decode(token);
        for (var cut = 1; cut <= bytes.Length; cut++)
        {
            AssertRefused(Encode(bytes[..^cut]), $"{cut} bytes cut at the end");
        }
    }

    [Fact]
    public void A_token_with_something_added_or_inserted_is_refused()
    {
        var token = Fernet.Encrypt(Keys.Primary, new byte[20], Now);
        foreach (var added in new[] { "=", "==", "A", "AAAA", " ", "\n", "\0", "\u2028", token })
        {
            for (var position = 0; position <= token.Length; position++)
            {
                AssertRefused(token.Insert(position, added), $"'{added}' inserted at {position}");
            }
        }
    }

    [Fact]
    public void A_token_without_its_padding_or_in_the_other_base64_alphabet_is_refused()
    {
        string token;
        do
        {
            token = Fernet.Encrypt(Keys.Primary, "x"u8, Now);
        } while (!token.Contains('-') || !token.Contains('_'));

        Assert.EndsWith("==", token);
        AssertRefused(token.TrimEnd('='), "no padding");
        AssertRefused(token.AsSpan(..^1), "half of the padding");
        AssertRefused(token.Replace('-', '+').Replace('_', '/'), "standard base64");
        AssertRefused(token.Replace("=", "%"), "the other padding of base64url");
    }

    [Fact]
    public void Every_token_has_an_iv_of_its_own()
    {
        var tokens = Enumerable.Range(0, 1000).Select(_ => Fernet.Encrypt(Keys.Primary, "x"u8, Now)).ToList();

        Assert.Equal(
            tokens.Count,
            tokens.Select(token => Convert.ToHexString(Decode(token)[9..25])).Distinct().Count()
        );
    }

    [Fact]
    public void Messages_of_every_length_around_the_block_size_come_back()
    {
        for (var length = 0; length <= 100; length++)
        {
            var message = Enumerable.Range(0, length).Select(i => (byte)i).ToArray();
            var token = Fernet.Encrypt(Keys.Primary, message, Now);

            Assert.Equal(0, token.Length % 4);
            Assert.Equal(FernetResult.Ok, Fernet.Decrypt(Keys, token, out var read));
            Assert.Equal(message, read);
        }
    }

    [Theory]
    [InlineData(60, "Ok")]
    [InlineData(61, "Expired")]
    [InlineData(-60, "Ok")]
    [InlineData(-61, "Expired")]
    public void A_time_to_live_is_inclusive_and_allows_a_minute_of_skew(int secondsLater, string expected)
    {
        var token = Fernet.Encrypt(Keys.Primary, "x"u8, Now);
        var now = Now.AddSeconds(secondsLater);

        Assert.Equal(expected, Fernet.Decrypt(Keys, token, out _, TimeSpan.FromSeconds(60), now).ToString());
    }

    private static void AssertRefused(ReadOnlySpan<char> token, string what)
    {
        var result = Fernet.Decrypt(Keys, token, out var message);
        Assert.True(result is FernetResult.Malformed or FernetResult.Unverified, $"{what}: {result}");
        Assert.Empty(message);
    }

    private static byte[] Decode(string token) => Base64Url.DecodeFromChars(token);

    private static string Encode(byte[] bytes)
    {
        var text = Base64Url.EncodeToString(bytes);
        return text.PadRight((text.Length + 3) / 4 * 4, '=');
    }
}
