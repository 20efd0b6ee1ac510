using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Database;

public class AdminDatabaseUrlTests
{
    private const string Canary = "c4n4ry";

    [Theory]
    [InlineData("postgresql://app:pw@db:5433/shop", "db", 5433, "shop", "app", "pw")]
    [InlineData("postgres://app:pw@db/shop", "db", 5432, "shop", "app", "pw")]
    [InlineData("PostgreSQL://app:pw@DB.example.com/shop", "DB.example.com", 5432, "shop", "app", "pw")]
    [InlineData("postgresql+asyncpg://app:pw@db/shop", "db", 5432, "shop", "app", "pw")]
    [InlineData("postgresql+psycopg2://app:pw@db/shop", "db", 5432, "shop", "app", "pw")]
    [InlineData("  postgresql://app:pw@db/shop\n", "db", 5432, "shop", "app", "pw")]
    [InlineData("postgresql://app@db", "db", 5432, "app", "app", null)]
    [InlineData("postgresql://app:@db/", "db", 5432, "app", "app", null)]
    [InlineData("postgresql://app:pw@db:/shop?", "db", 5432, "shop", "app", "pw")]
    [InlineData("postgresql://app:pw@127.0.0.1:1/shop", "127.0.0.1", 1, "shop", "app", "pw")]
    [InlineData("postgresql://app:pw@[::1]/shop", "::1", 5432, "shop", "app", "pw")]
    [InlineData("postgresql://app:pw@[2001:db8::7]:65535/shop", "2001:db8::7", 65535, "shop", "app", "pw")]
    [InlineData("postgresql://app:pw@[fe80::1%25eth0]:5433/shop", "fe80::1%eth0", 5433, "shop", "app", "pw")]
    [InlineData("postgresql://app:pw@my_db.local/shop", "my_db.local", 5432, "shop", "app", "pw")]
    [InlineData(
        "postgresql://a%40b:p%3A%2F%3F%23%5B%5D%40%25%20%26@db/my%20shop",
        "db",
        5432,
        "my shop",
        "a@b",
        "p:/?#[]@% &"
    )]
    [InlineData("postgresql://app:p%C3%A4ss%F0%9F%94%91@db/sh%C3%B6p", "db", 5432, "shöp", "app", "päss🔑")]
    [InlineData("postgresql://app:päss🔑@db/shöp", "db", 5432, "shöp", "app", "päss🔑")]
    [InlineData("postgresql://app:p:w;x='y'#+z@db/shop", "db", 5432, "shop", "app", "p:w;x='y'#+z")]
    [InlineData("Host=db;Port=5433;Database=shop;Username=app;Password=pw", "db", 5433, "shop", "app", "pw")]
    [InlineData("server=db;user id=app;pwd='p;w';", "db", 5432, "app", "app", "p;w")]
    [InlineData("Host=::1;Username=app;Password=a://b@c", "::1", 5432, "app", "app", "a://b@c")]
    [InlineData(
        "Host=db;Username=app;Multiplexing=false;No Reset On Close=false;Search Path=",
        "db",
        5432,
        "app",
        "app",
        null
    )]
    public void An_address_is_read(string text, string host, int port, string database, string user, string? password)
    {
        var result = AdminDatabaseUrl.Parse(text);

        Assert.Equal(host, result.Host);
        Assert.Equal(port, result.Port);
        Assert.Equal(database, result.Database);
        Assert.Equal(user, result.Username);
        Assert.Equal(password, result.Password);
    }

    [Theory]
    [InlineData("disable", SslMode.Disable)]
    [InlineData("allow", SslMode.Allow)]
    [InlineData("prefer", SslMode.Prefer)]
    [InlineData("require", SslMode.Require)]
    [InlineData("verify-ca", SslMode.VerifyCA)]
    [InlineData("verify-full", SslMode.VerifyFull)]
    public void Every_sslmode_of_libpq_is_read(string text, SslMode expected)
    {
        Assert.Equal(expected, AdminDatabaseUrl.Parse($"postgresql://app:pw@db/shop?sslmode={text}").SslMode);
    }

    [Fact]
    public void The_parameters_that_npgsql_has_are_read()
    {
        var result = AdminDatabaseUrl.Parse(
            "postgresql://app@db/shop?application_name=my%20app%26co&connect_timeout=7&sslrootcert=%2Fetc%2Fca.pem"
                + "&sslcert=/etc/me.crt&sslkey=/etc/me.key&gssencmode=disable&channel_binding=require&sslmode=verify-full"
        );

        Assert.Equal("my app&co", result.ApplicationName);
        Assert.Equal(7, result.Timeout);
        Assert.Equal("/etc/ca.pem", result.RootCertificate);
        Assert.Equal("/etc/me.crt", result.SslCertificate);
        Assert.Equal("/etc/me.key", result.SslKey);
        Assert.Equal(GssEncryptionMode.Disable, result.GssEncryptionMode);
        Assert.Equal(ChannelBinding.Require, result.ChannelBinding);
        Assert.Equal(SslMode.VerifyFull, result.SslMode);
    }

    [Theory]
    [InlineData(null, "is not set. Set it, for example to postgresql://")]
    [InlineData(" ", "is not set")]
    [InlineData("mysql://app:c4n4ry@db/shop", "Begin it with postgresql://")]
    [InlineData("jdbc:postgresql://db/shop?user=app&password=c4n4ry", "Begin it with postgresql://")]
    [InlineData("postgresql+://app:c4n4ry@db/shop", "Begin it with postgresql://")]
    [InlineData("c4n4ry", "neither a URL (postgresql://...) nor keywords")]
    [InlineData("postgresql:app:c4n4ry@db", "neither a URL")]
    // Hosts
    [InlineData("postgresql:///shop", "names no host")]
    [InlineData("postgresql://", "names no host")]
    [InlineData("postgresql://app:c4n4ry@/shop", "names no host")]
    [InlineData("postgresql://app:c4n4ry@:5432/shop", "names no host")]
    [InlineData("postgresql://app:c4n4ry@[]/shop", "names no host")]
    [InlineData("Username=app;Password=c4n4ry", "names no host")]
    [InlineData("postgresql://app:c4n4ry@a,b/shop", "several hosts. Name one")]
    [InlineData("postgresql://app:c4n4ry@a:5432,b:5432/shop", "several hosts")]
    [InlineData("postgresql://app:c4n4ry@a%2Cb/shop", "several hosts")]
    [InlineData("Host=a,b;Username=app;Password=c4n4ry", "several hosts")]
    [InlineData("postgresql://app:c4n4ry@%2Fvar%2Frun%2Fpostgresql/shop", "names a socket. Name a host")]
    [InlineData("Host=/tmp;Username=app;Password=c4n4ry", "names a socket")]
    [InlineData("Host=@abstract;Username=app;Password=c4n4ry", "names a socket")]
    [InlineData("Host=C:\\socket;Username=app;Password=c4n4ry", "names a socket")]
    [InlineData("Host=db:5433;Username=app;Password=c4n4ry", "Give the port by itself")]
    [InlineData("host=db user=app password=c4n4ry", "put ';' between keywords")]
    [InlineData("postgresql://app:c4n4ry@d%20b/shop", "neither a DNS name nor an IP address")]
    [InlineData("postgresql://app:c4n4ry@::1/shop", "[::1]:5432 for IPv6")]
    // Ports and users
    [InlineData("postgresql://app:c4n4ry@db:0/shop", "a port that is not in 1 to 65535")]
    [InlineData("postgresql://app:c4n4ry@db:65536/shop", "a port that is not in 1 to 65535")]
    [InlineData("postgresql://app:c4n4ry@db:99999999999/shop", "a port that is not in 1 to 65535")]
    [InlineData("Host=db;Port=65536;Username=app;Password=c4n4ry", "a port that is not in 1 to 65535")]
    [InlineData("postgresql://app:c4n4ry", "no host and port of the form host:5432")]
    [InlineData("postgresql://db/shop", "names no user")]
    [InlineData("postgresql://:c4n4ry@db/shop", "names no user")]
    [InlineData("Host=db;Password=c4n4ry", "names no user")]
    // Where a password ends
    [InlineData("postgresql://app:p@c4n4ry@db/shop", "write '@' as %40")]
    [InlineData("postgresql://app:p/c4n4ry@db/shop", "'/' as %2F")]
    [InlineData("postgresql://app:p?c4n4ry@db/shop", "'?' as %3F")]
    [InlineData("postgresql://app:p?c4n4ry=1@db/shop", "does not show where its password ends")]
    [InlineData("postgresql://app:c4n4ry%@db/shop", "'%' as %25")]
    [InlineData("postgresql://app:c4n4ry%2@db/shop", "'%' as %25")]
    [InlineData("postgresql://app:c4n4ry%zz@db/shop", "'%' as %25")]
    [InlineData("postgresql://app:c4n4ry%FF@db/shop", "begins no escape of a character of UTF-8")]
    [InlineData("postgresql://app:c4n4ry%00@db/shop", "begins no escape")]
    [InlineData("Host=db;Username=app;Password=p;c4n4ry=1", "A password that holds ';' stands in quotes")]
    [InlineData("Host=db;Password=p;c4n4ry;Username=app", "A password that holds ';' stands in quotes")]
    [InlineData("Host=db;Username=app;Password=p;c4n4ry", "A value that holds ';' or a quote stands in quotes")]
    [InlineData("Host=db;Username=app;Password='c4n4ry", "A value that holds ';' or a quote stands in quotes")]
    // Parameters and keywords
    [InlineData("postgresql://app:c4n4ry@db/shop?sslmode=maybe", "sslmode that is none of disable, allow, prefer")]
    [InlineData("postgresql://app:c4n4ry@db/shop?sslmode=", "sslmode that is none of")]
    [InlineData("postgresql://app:c4n4ry@db/shop?sslmode", "sslmode that is none of")]
    [InlineData("postgresql://app:c4n4ry@db/shop?connect_timeout=soon", "value of 'connect_timeout' that is not valid")]
    [InlineData(
        "postgresql://app:c4n4ry@db/shop?connect_timeout=99999",
        "value of 'connect_timeout' that is not valid"
    )]
    [InlineData("postgresql://app:c4n4ry@db/shop?channel_binding=maybe", "value of 'channel_binding'")]
    [InlineData(
        "postgresql://app:c4n4ry@db/shop?options=-csearch_path%3Dx",
        "parameter 'options', which is not supported"
    )]
    [InlineData("postgresql://app@db/shop?password=c4n4ry", "parameter 'password', which is not supported")]
    [InlineData("postgresql://app:c4n4ry@db/shop?host=other", "parameter 'host', which is not supported")]
    [InlineData("postgresql://app:c4n4ry@db/shop?sslmode=require&SSLMode=disable", "parameter 'SSLMode'")]
    [InlineData("postgresql://app:c4n4ry@db/shop?Search%20Path=x", "parameter 'Search%20Path'")]
    [InlineData("postgresql://app:c4n4ry@db/shop?Multiplexing=true", "parameter 'Multiplexing'")]
    [InlineData("Host=db;Tenant=x;Username=app;Password=c4n4ry", "keyword 'tenant', which Npgsql does not know")]
    [InlineData("Host=db;Username=app;Passwd=c4n4ry", "keyword 'passwd', which Npgsql does not know")]
    [InlineData("Host=db;Port=c4n4ry;Username=app", "gives 'port' a value that Npgsql does not take")]
    [InlineData("Host=db;Username=app;Password=c4n4ry;SSL Mode=maybe", "gives 'ssl mode' a value")]
    [InlineData("Host=db;Username=app;Password=c4n4ry;Timeout=99999", "gives 'timeout' a value")]
    [InlineData("Host=db;Username=app;Password=c4n4ry;Multiplexing=true", "Multiplexing. Remove it")]
    [InlineData("Host=db;Username=app;Password=c4n4ry;No Reset On Close=true", "No Reset On Close. Remove it")]
    [InlineData("Host=db;Username=app;Password=c4n4ry;SearchPath=x", "Search Path. Remove it")]
    [InlineData(
        "Host=db;Username=app;Password=c4n4ry;Options=-c search_path=x",
        "Options, which can hold a search path"
    )]
    [InlineData("Host=db;Username=app;Password=c4n4ry;Persist Security Info=true", "Persist Security Info. Remove it")]
    public void A_fault_names_the_remedy_and_shows_no_password(string? text, string expected)
    {
        var fault = Assert.Throws<FormatException>(() => AdminDatabaseUrl.Parse(text));

        Assert.StartsWith("ADMIN_DATABASE_URL ", fault.Message);
        Assert.Contains(expected, fault.Message);
        Assert.DoesNotContain(Canary, fault.ToString());
    }

    [Fact]
    public void A_password_of_any_characters_is_read_whole_or_refused_without_a_trace()
    {
        const string special = "@/?#:&=%;'\"[]\\ ,+$!*(){}<>|^~`\u00E4";
        var random = new Random(20260101);
        for (var i = 0; i < 20_000; i++)
        {
            var password = Canary;
            for (var parts = random.Next(4); parts > 0; parts--)
            {
                password += special[random.Next(special.Length)] + Canary;
            }

            AssertWholeOrRefused($"postgresql://app:{password}@db/shop?sslmode=disable", password);
            AssertWholeOrRefused($"Host=db;Username=app;Password={password};SSL Mode=Disable", password);
            AssertWholeOrRefused($"Password={password};Host=db;Username=app", password);
            var escaped = AdminDatabaseUrl.Parse($"postgresql://app:{Uri.EscapeDataString(password)}@db/shop");
            Assert.Equal(password, escaped.Password);
        }
    }

    private static void AssertWholeOrRefused(string text, string password)
    {
        try
        {
            Assert.Equal(password, AdminDatabaseUrl.Parse(text).Password);
        }
        catch (FormatException fault)
        {
            Assert.DoesNotContain(Canary, fault.ToString());
        }
    }
}
