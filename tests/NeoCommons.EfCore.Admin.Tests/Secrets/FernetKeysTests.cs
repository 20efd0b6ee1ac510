namespace NeoCommons.EfCore.Admin.Tests.Secrets;

public class FernetKeysTests
{
    private const string First = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    private const string Second = "bm90LXRoZS1zYW1lLWtleS1hcy10aGUtZmlyc3Qtb24=";
    private const string Raw = "0123456789abcdef-is-a-raw-key-32";

    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddYears(50);

    [Theory]
    [InlineData(First, 1)]
    [InlineData(Raw, 1)]
    [InlineData($"{First},{Second}", 2)]
    [InlineData($"  {First} ,\t{Second},{Raw}\n", 3)]
    public void One_key_or_a_list_is_read_in_order(string text, int count)
    {
        var keys = FernetKeys.Parse(text);

        Assert.Equal(count, keys.All.Count);
        Assert.Same(keys.All[0], keys.Primary);
    }

    [Fact]
    public void The_first_key_encrypts_and_every_key_decrypts()
    {
        var old = FernetKeys.Parse(Second);
        var rotated = FernetKeys.Parse($"{First},{Second},{Raw}");
        var token = Fernet.Encrypt(rotated.Primary, "x"u8, Now);

        Assert.Equal(FernetResult.Ok, Fernet.Decrypt(FernetKeys.Parse(First), token, out _));
        Assert.Equal(FernetResult.Unverified, Fernet.Decrypt(old, token, out _));
        foreach (var key in rotated.All)
        {
            Assert.Equal(FernetResult.Ok, Fernet.Decrypt(rotated, Fernet.Encrypt(key, "x"u8, Now), out var message));
            Assert.Equal("x"u8, message);
        }
    }

    [Fact]
    public void A_raw_key_is_the_base64url_key_of_the_same_bytes()
    {
        var encoded = Convert
            .ToBase64String(System.Text.Encoding.ASCII.GetBytes(Raw))
            .Replace('+', '-')
            .Replace('/', '_');
        var token = Fernet.Encrypt(FernetKeys.Parse(Raw).Primary, "x"u8, Now);

        Assert.Equal(FernetResult.Ok, Fernet.Decrypt(FernetKeys.Parse(encoded), token, out _));
    }

    [Fact]
    public void A_raw_key_may_hold_commas_when_it_stands_alone()
    {
        Assert.Single(FernetKeys.Parse("0123456789,bcdef,is,a,raw,key,32").All);
    }

    [Fact]
    public void A_key_in_the_standard_base64_alphabet_is_the_same_key()
    {
        var token = Fernet.Encrypt(FernetKeys.Parse(First).Primary, "x"u8, Now);
        var standard = FernetKeys.Parse(First.Replace('-', '+').Replace('_', '/'));

        Assert.Equal(FernetResult.Ok, Fernet.Decrypt(standard, token, out _));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(" \n")]
    public void A_missing_key_says_what_to_set_and_how_to_make_one(string? text)
    {
        var fault = Assert.Throws<FormatException>(() => FernetKeys.Parse(text));

        Assert.Contains("DB_ENCRYPTION_KEY is not set", fault.Message);
        Assert.Contains("openssl rand -base64 32", fault.Message);
        Assert.Contains("Fernet.generate_key()", fault.Message);
    }

    [Theory]
    [InlineData("short", "key 1 has 5 characters")]
    [InlineData("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4", "key 1 has 43 characters")]
    [InlineData(First + "=", "key 1 has 45 characters")]
    [InlineData("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4eAA", "key 1 has 44 characters that are not the base64url")]
    [InlineData("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e%=", "key 1 has 44 characters that are not the base64url")]
    [InlineData("cw_0x689RpI-jtRR7oE8h eQsKImvJapLeSbXpwF4e4=", "key 1 has 44 characters that are not the base64url")]
    [InlineData("0123456789abcdef-is-a-räw-key-32", "key 1 has 32 characters that are not all printable ASCII")]
    [InlineData("0123456789abcdef\tis-a-raw-key-32", "key 1 has 32 characters that are not all printable ASCII")]
    [InlineData(First + ",", "key 2 is empty")]
    [InlineData(First + ",," + Second, "key 2 is empty")]
    [InlineData(First + "," + Second + ",short", "key 3 has 5 characters")]
    [InlineData(First + "," + First, "key 2 begins with the same 16 bytes as key 1")]
    [InlineData(
        "0123456789abcdef-is-a-raw-key-32,0123456789abcdef-another-raw-key",
        "key 2 begins with the same 16 bytes"
    )]
    public void A_wrong_key_is_named_by_its_position(string text, string expected)
    {
        var fault = Assert.Throws<FormatException>(() => FernetKeys.Parse(text));

        Assert.Contains($"DB_ENCRYPTION_KEY: {expected}", fault.Message);
        Assert.Contains("Make a key with", fault.Message);
        foreach (var key in text.Split(',').Where(key => key.Length > 5))
        {
            Assert.DoesNotContain(key, fault.ToString());
        }
    }

    [Fact]
    public void All_wrong_keys_are_told_at_once()
    {
        Assert.False(FernetKeys.TryParse($"a,{First},bb,{First}", out var keys, out var faults));

        Assert.Null(keys);
        Assert.Equal(3, faults.Count);
        Assert.Contains("key 1 has 1", faults[0]);
        Assert.Contains("key 3 has 2", faults[1]);
        Assert.Contains("key 4 begins with the same 16 bytes as key 2", faults[2]);
    }

    [Fact]
    public void Keys_print_nothing_of_themselves()
    {
        var keys = FernetKeys.Parse($"{First},{Raw}");

        Assert.Equal(typeof(FernetKeys).FullName, keys.ToString());
        Assert.Equal(typeof(FernetKey).FullName, keys.Primary.ToString());
    }
}
