using System.Globalization;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using StackExchange.Redis;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reads where Redis is: a URL as other languages' clients take it, or StackExchange.Redis' own keywords.</summary>
internal static class RedisAddress
{
    /// <summary>The configuration key that holds it by default.</summary>
    public const string Variable = "REDIS_URL";

    private const int DefaultPort = 6379;

    /// <exception cref="FormatException">It cannot be read; the message does not quote it, since it may hold a password.</exception>
    public static ConfigurationOptions Parse(string text)
    {
        var options = text.Contains("://", StringComparison.Ordinal) ? ParseUrl(text) : ParseKeywords(text);

        // An application starts without Redis, and a lookup does not queue up behind a connection that is being made.
        options.AbortOnConnectFail = false;
        options.BacklogPolicy = BacklogPolicy.FailFast;
        return options;
    }

    public static RedisCacheOptions Configure(RegistryCacheOptions options) =>
        new() { ConfigurationOptions = Parse(options.ConnectionString!), InstanceName = options.KeyPrefix };

    private static ConfigurationOptions ParseUrl(string text)
    {
        if (
            !Uri.TryCreate(text, UriKind.Absolute, out var url)
            || url.Scheme is not ("redis" or "rediss")
            || url.Host.Length == 0
            || url.Query.Length > 0
        )
        {
            throw new FormatException(
                "The address of Redis is not of the form redis://user:password@host:6379/0 (rediss:// with TLS)."
            );
        }

        var path = url.AbsolutePath.Trim('/');
        if (path.Length > 0 && !int.TryParse(path, NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            throw new FormatException("The address of Redis ends in something that is not the number of a database.");
        }

        var login = url.UserInfo.Split(':', 2);
        var options = new ConfigurationOptions
        {
            Ssl = url.Scheme == "rediss",
            User = login[0] is { Length: > 0 } user ? Uri.UnescapeDataString(user) : null,
            Password = login is [_, var password] ? Uri.UnescapeDataString(password) : null,
            DefaultDatabase = path.Length > 0 ? int.Parse(path, CultureInfo.InvariantCulture) : null,
        };
        options.EndPoints.Add(url.IdnHost, url.Port > 0 ? url.Port : DefaultPort);
        return options;
    }

    private static ConfigurationOptions ParseKeywords(string text)
    {
        try
        {
            var options = ConfigurationOptions.Parse(text);
            return options.EndPoints.Count > 0
                ? options
                : throw new FormatException("The address of Redis names no host.");
        }
        catch (ArgumentException)
        {
            throw new FormatException(
                "The keywords of Redis cannot be read; see the documentation of StackExchange.Redis."
            );
        }
    }
}
