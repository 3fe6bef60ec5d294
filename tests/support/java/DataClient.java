import javax.jms.BytesMessage;
import javax.jms.DeliveryMode;
import javax.jms.MapMessage;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.ObjectMessage;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.StreamMessage;
import javax.jms.TextMessage;
import javax.jms.Topic;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import org.apache.activemq.artemis.api.core.SimpleString;
import org.apache.activemq.artemis.jms.client.ActiveMQConnection;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;
import org.apache.activemq.artemis.jms.client.ActiveMQMessage;

/**
 * Messages of every kind that JMS and CORE know, for the tests of export and import.
 *
 * <p>{@code send URL} puts them into the queue "orders" and, through the topic "news", into two durable subscriptions. {@code receive
 * URL} takes everything from these queues and prints each message as one line, in the order in which it comes; {@code browse URL} does
 * the same and takes nothing.
 */
public final class DataClient {
   private static final long HOUR_MS = 3_600_000;
   private static final long WAIT_MS = 3_000;
   private static final int LARGE_CHARACTERS = 300_000;
   private static final String[] QUEUES = {"orders", "reader.all", "reader.urgent"};

   private DataClient() {
   }

   public static void main(String[] arguments) throws Exception {
      try (ActiveMQConnectionFactory factory = new ActiveMQConnectionFactory(arguments[1]);
           ActiveMQConnection connection = (ActiveMQConnection) factory.createConnection("admin", "password")) {
         if (arguments[0].equals("send")) {
            connection.setClientID("reader");
            send(connection);
         } else {
            show(connection, arguments[0].equals("browse"));
         }
      }
   }

   private static void send(ActiveMQConnection connection) throws Exception {
      connection.start();
      Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
      Queue orders = session.createQueue("orders");
      MessageProducer producer = session.createProducer(orders);

      producer.send(session.createTextMessage("hällo <x> & ]]> \uD83D\uDE00"));
      producer.send(session.createTextMessage());
      producer.send(session.createTextMessage(""));

      BytesMessage bytes = session.createBytesMessage();
      for (int value = 0; value < 256; value++) {
         bytes.writeByte((byte) value);
      }
      producer.send(bytes);

      MapMessage map = session.createMapMessage();
      map.setString("text", "zwölf");
      map.setInt("number", 12);
      map.setBytes("bytes", new byte[] {1, -1});
      producer.send(map);

      StreamMessage stream = session.createStreamMessage();
      stream.writeLong(7);
      stream.writeString("seven");
      producer.send(stream);

      producer.send(session.createObjectMessage(new ArrayList<>(List.of("a", "b"))));
      producer.send(session.createMessage());

      Message typed = session.createTextMessage("typed");
      typed.setBooleanProperty("aBoolean", true);
      typed.setByteProperty("aByte", (byte) -3);
      typed.setShortProperty("aShort", (short) 300);
      typed.setIntProperty("anInt", -70_000);
      typed.setLongProperty("aLong", Long.MIN_VALUE);
      typed.setFloatProperty("aFloat", 1.1f);
      typed.setFloatProperty("aFloatNan", Float.NaN);
      typed.setDoubleProperty("aDouble", 1e300);
      typed.setDoubleProperty("anInfinity", Double.NEGATIVE_INFINITY);
      typed.setStringProperty("aString", "grüße \"<&>\"");
      typed.setStringProperty("lines", "one\ttwo\nthree\r\nfour ");
      typed.setStringProperty("control", "a\u0001b");
      typed.setStringProperty("empty", "");
      typed.setJMSCorrelationID("correlation");
      typed.setJMSReplyTo(session.createQueue("answers"));
      typed.setJMSType("a type");
      typed.setStringProperty("JMSXGroupID", "group");
      producer.send(typed);

      TextMessage exotic = session.createTextMessage("exotic");
      org.apache.activemq.artemis.api.core.Message core = ((ActiveMQMessage) exotic).getCoreMessage();
      core.putBytesProperty(SimpleString.of("someBytes"), HexFormat.of().parseHex("00fffefb3f3e7f"));
      core.putBytesProperty(SimpleString.of("noBytes"), new byte[0]);
      core.putCharProperty(SimpleString.of("aChar"), 'ß');
      core.putStringProperty(SimpleString.of("aNull"), (SimpleString) null);
      producer.send(exotic);

      producer.send(session.createTextMessage("x".repeat(LARGE_CHARACTERS)));

      producer.send(session.createTextMessage("urgent"), DeliveryMode.PERSISTENT, 9, 0);
      producer.send(session.createTextMessage("mortal"), DeliveryMode.PERSISTENT, 0, HOUR_MS);
      producer.send(session.createTextMessage("volatile"), DeliveryMode.NON_PERSISTENT, 4, 0);

      Topic news = session.createTopic("news");
      session.createDurableSubscriber(news, "all").close();
      session.createDurableSubscriber(news, "urgent", "n > 3 AND who <> 'a&b'", false).close();
      MessageProducer publisher = session.createProducer(news);
      for (int n = 2; n < 6; n++) {
         Message message = session.createTextMessage("news " + n);
         message.setIntProperty("n", n);
         message.setStringProperty("who", "x");
         publisher.send(message);
      }
      Message delayed = session.createTextMessage("delayed");
      producer.setDeliveryDelay(HOUR_MS);
      producer.send(delayed);
   }

   private static void show(ActiveMQConnection connection, boolean browses) throws Exception {
      connection.start();
      Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
      for (String name : QUEUES) {
         Queue queue = session.createQueue(name.equals("orders") ? name : "news::" + name);
         if (browses) {
            for (Object message : Collections.list(session.createBrowser(queue).getEnumeration())) {
               System.out.println(name + " " + describe((Message) message));
            }
            continue;
         }
         MessageConsumer consumer = session.createConsumer(queue);
         for (Message message = consumer.receive(WAIT_MS); message != null; message = consumer.receive(WAIT_MS)) {
            System.out.println(name + " " + describe(message));
         }
         consumer.close();
      }
   }

   private static String describe(Message message) throws Exception {
      org.apache.activemq.artemis.api.core.Message core = ((ActiveMQMessage) message).getCoreMessage();
      List<String> properties = new ArrayList<>();
      for (SimpleString name : core.getPropertyNames()) {
         properties.add(name + "=" + shown(core.getObjectProperty(name)));
      }
      Collections.sort(properties);
      return String.join(" ",
         "kind=" + core.getType(),
         "id=" + message.getJMSMessageID(),
         "at=" + message.getJMSTimestamp(),
         "expires=" + message.getJMSExpiration(),
         "priority=" + message.getJMSPriority(),
         "mode=" + message.getJMSDeliveryMode(),
         "to=" + message.getJMSDestination(),
         "body=" + body(message),
         "properties=" + properties);
   }

   private static String shown(Object value) {
      if (value instanceof byte[] bytes) {
         return "bytes:" + HexFormat.of().formatHex(bytes);
      }
      if (value == null) {
         return "null";
      }
      String text = value.toString().replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t");
      return value.getClass().getSimpleName() + ":" + text;
   }

   private static String body(Message message) throws Exception {
      if (message instanceof TextMessage text) {
         return text.getText() == null ? "no text" : digest(text.getText().getBytes(StandardCharsets.UTF_16BE));
      }
      if (message instanceof BytesMessage bytes) {
         byte[] all = new byte[(int) bytes.getBodyLength()];
         bytes.readBytes(all);
         return digest(all);
      }
      if (message instanceof MapMessage map) {
         return "map " + shown(map.getString("text")) + shown(map.getInt("number")) + shown(map.getBytes("bytes"));
      }
      if (message instanceof StreamMessage stream) {
         return "stream " + stream.readLong() + stream.readString();
      }
      if (message instanceof ObjectMessage object) {
         return "object " + object.getObject();
      }
      return "none";
   }

   private static String digest(byte[] bytes) throws Exception {
      return bytes.length + ":" + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes)).substring(0, 16);
   }
}
