namespace NeoCommons.EfCore.Tests.Tenants;

public class TenantIdTests
{
    private const string Text = "0f8fad5b-d9cb-469f-a165-70867728950e";

    [Fact]
    public void Any_id_comes_back_from_its_text()
    {
        var random = new Random(1);
        var bytes = new byte[16];
        for (var i = 0; i < 10_000; i++)
        {
            random.NextBytes(bytes);
            var id = new TenantId(new Guid(bytes));

            Assert.Equal(id, TenantId.Parse(id.ToString()));
            Assert.Equal(id.ToString(), TenantId.Parse(id.ToString().ToUpperInvariant()).ToString());
        }
    }

    [Fact]
    public void All_ways_to_read_an_id_agree()
    {
        var id = new TenantId(new Guid(Text));

        Assert.Equal(id, TenantId.Parse(Text));
        Assert.Equal(id, TenantId.Parse(Text.AsSpan()));
        Assert.True(TenantId.TryParse(Text, out var read));
        Assert.Equal(id, read);
        Assert.True(TenantId.TryParse(Text, null, out read));
        Assert.Equal(id, read);
        Assert.True(TenantId.TryParse(Text.AsSpan(), null, out read));
        Assert.Equal(id, read);
        Assert.Equal(Text, id.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("acme")]
    [InlineData("0f8fad5bd9cb469fa16570867728950e")]
    [InlineData("{0f8fad5b-d9cb-469f-a165-70867728950e}")]
    [InlineData("(0f8fad5b-d9cb-469f-a165-70867728950e)")]
    [InlineData("{0x0f8fad5b,0xd9cb,0x469f,{0xa1,0x65,0x70,0x86,0x77,0x28,0x95,0x0e}}")]
    [InlineData(" 0f8fad5b-d9cb-469f-a165-70867728950e")]
    [InlineData("0f8fad5b-d9cb-469f-a165-70867728950e\n")]
    [InlineData("+f8fad5b-d9cb-469f-a165-70867728950e")]
    [InlineData("0x8fad5b-d9cb-469f-a165-70867728950e")]
    [InlineData("0f8fad5b-0x9c-469f-a165-70867728950e")]
    [InlineData("0f8fad5b-d9cb-469f-+165-70867728950e")]
    [InlineData("0f8fad5b-d9cb-469f-a165-+0867728950e")]
    [InlineData("0f8fad5b-d9cb-469f-a165-70867728950")]
    [InlineData("0f8fad5b-d9cb-469f-a165-70867728950e0")]
    [InlineData("0f8fad5b-d9cb-469f-a165-70867728950g")]
    [InlineData("٠f8fad5b-d9cb-469f-a165-70867728950e")]
    public void Any_other_text_is_refused(string text)
    {
        Assert.False(TenantId.TryParse(text, out var id));
        Assert.Equal(default, id);
        var fault = Assert.Throws<FormatException>(() => TenantId.Parse(text));
        Assert.Contains("UUID in the form", fault.Message);
    }

    [Fact]
    public void No_text_is_no_id()
    {
        Assert.False(TenantId.TryParse(null, out _));
        Assert.Throws<ArgumentNullException>(() => TenantId.Parse(null!));
    }

    [Fact]
    public void A_long_text_from_outside_is_not_repeated_in_the_message()
    {
        var fault = Assert.Throws<FormatException>(() => TenantId.Parse(new string('x', 100_000) + "\nfaked log line"));

        Assert.True(fault.Message.Length < 300);
        Assert.DoesNotContain("\n", fault.Message);
    }

    [Fact]
    public void New_ids_are_version_7_and_sort_by_time()
    {
        var early = TenantId.New(new FixedTime(DateTimeOffset.UnixEpoch.AddYears(50)));
        var late = TenantId.New(new FixedTime(DateTimeOffset.UnixEpoch.AddYears(51)));

        Assert.Equal(7, early.Value.Version);
        Assert.True(string.CompareOrdinal(early.ToString(), late.ToString()) < 0);
        Assert.NotEqual(TenantId.New(), TenantId.New());
    }

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
